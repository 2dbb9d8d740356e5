"""A topic keeps its first number of partitions until an operator accepts a change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from govid.bus import BusSettings, Database, uuid7
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.events import Topic
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.cloudevents import partition_for
from govid.bus.kafka.topic_reader import TopicReader, open_reader
from govid.bus.kafka.topics import dead_letter_topic, required_topics
from govid.bus.operations.kafka_acceptance import PartitionSwitch, RelayBusy, SwitchInProgress
from govid.bus.operations.operator_actions import ActionMetadata, OperatorActions
from tests.kafka.fixtures import KafkaFixture, a_request, by_key, header, wait_until

pytestmark = pytest.mark.kafka

ACCOUNT = UUID("019d0000-0000-7000-8000-000000000001")
NOTICE = (
    b'{"identifierType":"NIN","identifierValue":"AB123456C","timestamp":"2026-01-05T14:30:00Z"}'
)
OTHER_NOTICE = NOTICE.replace(b"AB123456C", b"AB123457C")
WHY = ActionMetadata(operator="tests", reason="more consumers")


@asynccontextmanager
async def administering(settings: BusSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def grow(replica: KafkaFixture, topic: str, partitions: int) -> None:
    """Give a topic more partitions, and wait until the replica has noticed."""
    async with administering(replica.settings) as admin:
        await admin.create_partitions({topic: NewPartitions(partitions)})
    await wait_until(lambda: has_seen(replica, topic, partitions))


async def has_seen(replica: KafkaFixture, topic: str, partitions: int) -> bool:
    return replica.kafka.topics.present_counts.get(topic) == partitions


async def remembered(replica: KafkaFixture, topic: str) -> Any:
    query = "SELECT partitions FROM bus.topic WHERE name = $1"
    return await replica.database.reads.fetchval(query, topic)


@pytest.fixture
async def connection(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return a connection of an operator's."""
    connection = await asyncpg.connect(bus_settings.database_url)
    yield connection
    await connection.close()


async def test_r3_a_topic_that_was_there_keeps_its_number_of_partitions(
    kafka_settings: BusSettings,
) -> None:
    name = kafka_settings.wire_name(Topic.VERIFICATION_REQUEST)
    async with Database(kafka_settings) as database, administering(kafka_settings) as admin:
        await admin.create_topics([NewTopic(name, 7, 1)])
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await replica.emit(a_request(ACCOUNT, "before"))
            await replica.wait_until_drained()
            assert replica.kafka.mismatches == {}
        await admin.create_partitions({name: NewPartitions(9)})
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await wait_until(lambda: has_seen(replica, name, 9))
            assert replica.kafka.mismatches == {name: (7, 9)}
            await replica.emit(a_request(ACCOUNT, "after"))
            records = await replica.read(Topic.VERIFICATION_REQUEST, 2)
    assert [header(record, "ce_sequence") for record in records] == ["1", "2"]
    assert len({record.partition for record in records}) == 1


@pytest.mark.parametrize(
    "topic",
    [
        Topic.VERIFICATION_REQUEST,
        Topic.VERIFICATION_RESULT,
        Topic.APPOINTMENT_RESULT,
        Topic.ACCESS,
    ],
)
async def test_a11_more_partitions_of_a_published_topic_are_reported_while_it_runs(
    replica: KafkaFixture, topic: Topic
) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(topic)
    await grow(replica, name, 6)
    assert replica.kafka.topics_state == "changed"
    assert replica.kafka.mismatches == {name: (4, 6)}
    assert await remembered(replica, name) == 4


@pytest.mark.parametrize("suffix", ["", ".dlq"])
async def test_a11_more_partitions_of_a_topic_that_is_only_read_do_not_matter(
    replica: KafkaFixture, suffix: str
) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(Topic.DEATH_NOTIFICATION) + suffix
    assert suffix == "" or name == dead_letter_topic(replica.wire_name(Topic.DEATH_NOTIFICATION))
    await grow(replica, name, 6)
    assert replica.kafka.topics_state == "ok"
    await wait_until(lambda: remembers(replica, name, 6))


async def test_a11_a_notice_in_a_partition_that_is_new_is_read(replica: KafkaFixture) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(Topic.DEATH_NOTIFICATION)
    await grow(replica, name, 6)
    async with replica.external_producer() as producer:
        await producer.send_and_wait(name, b"{}", partition=5)
    (record,) = await replica.read(f"{name}.dlq", 1)
    assert header(record, "dlq_partition") == "5"


async def test_a11_the_new_number_is_accepted_under_traffic_without_a_restart(
    replica: KafkaFixture, connection: Any
) -> None:
    accounts = [uuid4() for _ in range(16)]
    name = replica.wire_name(Topic.VERIFICATION_REQUEST)
    await replica.emit(*(a_request(account) for account in accounts))
    await replica.wait_until_drained()
    await grow(replica, name, 32)

    async def traffic() -> None:
        for _ in range(40):
            await replica.emit(*(a_request(account) for account in accounts))

    emitting = asyncio.create_task(traffic())
    before = await PartitionSwitch(connection, OperatorActions(connection, replica.outbox)).run(
        name, 32, WHY
    )
    await emitting
    await replica.emit(*(a_request(account) for account in accounts))
    await replica.wait_until_drained()
    records = await replica.read(Topic.VERIFICATION_REQUEST, 16 * 42)
    assert before == 4
    assert replica.kafka.topics_state == "ok"
    assert len(records) == 16 * 42
    places = by_key(records, lambda one: (int(header(one, "ce_sequence") or 0), one.partition))
    assert {key: sorted(found) for key, found in places.items()} == {
        str(account): moved(account, [partition for _, partition in places[str(account)]])
        for account in accounts
    }


@pytest.mark.parametrize(
    ("topic", "partitions"),
    [
        (Topic.DEATH_NOTIFICATION, 4),
        (Topic.VERIFICATION_RESULT, 4),
        (Topic.APPOINTMENT_REQUEST, 7),
    ],
)
async def test_a10_a_topic_that_was_deleted_is_created_again_as_it_was(
    kafka_settings: BusSettings,
    caplog: pytest.LogCaptureFixture,
    topic: Topic,
    partitions: int,
) -> None:
    settings = msgspec.structs.replace(kafka_settings, topic_check_seconds=1)
    name = settings.wire_name(topic)
    caplog.set_level("INFO", logger="govid.bus.kafka.topics")
    async with (
        Database(settings) as database,
        administering(settings) as admin,
        open_reader(KafkaClientFactory(settings.kafka_bootstrap_servers)) as archive,
    ):
        await admin.create_topics([NewTopic(name, partitions, 1)])
        async with (
            KafkaFixture(settings, database).run() as one,
            KafkaFixture(settings, database).run(),
        ):
            await one.wait_until_healthy()
            await admin.delete_topics([name])
            await wait_until(lambda: was_created_again(caplog, name))
            await wait_until(lambda: has_seen(one, name, partitions))
            # A broker tells of a topic a moment after the controller has made it.
            await wait_until(lambda: kafka_has(archive, name, partitions))
            await wait_until(lambda: is_state(one, "ok"))
    created = [record for record in caplog.records if record.message == "kafka.topic_created_again"]
    assert [vars(record)["partitions"] for record in created] == [partitions]


async def kafka_has(archive: TopicReader, topic: str, partitions: int) -> bool:
    return (await archive.fetch_partition_counts()).get(topic) == partitions


async def was_created_again(caplog: pytest.LogCaptureFixture, topic: str) -> bool:
    return any(
        record.message == "kafka.topic_created_again" and vars(record)["topic"] == topic
        for record in caplog.records
    )


async def test_a10_a_notice_to_a_topic_that_was_created_again_is_read(
    kafka_settings: BusSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = msgspec.structs.replace(kafka_settings, topic_check_seconds=1)
    name = settings.wire_name(Topic.DEATH_NOTIFICATION)
    async with (
        Database(settings) as database,
        administering(settings) as admin,
        KafkaFixture(settings, database).run() as replica,
    ):
        await replica.wait_until_healthy()
        async with replica.external_producer() as producer:
            for _ in range(3):
                await producer.send_and_wait(name, NOTICE, partition=0)
        await wait_until(lambda: took_in(replica, 3))
        await admin.delete_topics([name])
        await wait_until(lambda: was_created_again(caplog, name))
        async with replica.external_producer() as producer:
            await producer.send_and_wait(
                name, OTHER_NOTICE, partition=0, headers=[("ce_id", b"another")]
            )
        await wait_until(lambda: took_in(replica, 4))


async def took_in(replica: KafkaFixture, count: int) -> bool:
    return await replica.count("event", "type = 'hmrc.death.notified'") == count


def moved(account: UUID, partitions: list[int]) -> list[tuple[int, int]]:
    """Return all numbers of a key: first those in its old partition, then those in its new one."""
    old, new = partition_for(str(account), 4), partition_for(str(account), 32)
    last_old = 42 if old == new else partitions.count(old)
    return [(n, old if n <= last_old else new) for n in range(1, 43)]


async def test_a11_the_action_is_recorded_with_its_reason(
    replica: KafkaFixture, connection: Any
) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(Topic.APPOINTMENT_REQUEST)
    await grow(replica, name, 5)
    await PartitionSwitch(connection, OperatorActions(connection, replica.outbox)).run(name, 5, WHY)
    payload = await connection.fetchval(
        "SELECT payload::text FROM bus.event WHERE key = 'operator/topics'"
    )
    assert msgspec.json.decode(payload) == {
        "actId": str(WHY.id),
        "operator": "tests",
        "statedReason": "more consumers",
        "timestamp": WHY.at.isoformat().replace("+00:00", "Z"),
        "topic": name,
        "partitionsBefore": 4,
        "partitions": 5,
    }
    await wait_until(lambda: is_state(replica, "ok"))


async def test_a11_a_frozen_replica_strikes_nothing_off_after_the_switch(
    replica: KafkaFixture, connection: Any
) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(Topic.VERIFICATION_REQUEST)
    frozen = uuid7()
    await connection.execute(
        "INSERT INTO bus.lease (subscriber, bucket, owner, epoch, until)"
        " VALUES ($1, 1000, $2, 7, now() - interval '1 s'),"
        " ('tests.other', 1000, $2, 7, now() - interval '1 s')",
        RELAY,
        frozen,
    )
    await PartitionSwitch(connection, OperatorActions(connection, replica.outbox)).run(name, 5, WHY)
    rows = await connection.fetch(
        "SELECT subscriber, epoch FROM bus.lease WHERE owner = $1 ORDER BY 1", frozen
    )
    assert [tuple(row) for row in rows] == [(RELAY, 8), ("tests.other", 7)]


async def test_a11_what_a_replica_still_has_under_way_keeps_the_old_number(
    replica: KafkaFixture, connection: Any
) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(Topic.VERIFICATION_REQUEST)
    busy = uuid7()
    await connection.execute(
        "INSERT INTO bus.replica (id, lock_key, until) VALUES ($1, 1, now() + interval '1 min')",
        busy,
    )
    await connection.execute(
        "INSERT INTO bus.lease (subscriber, bucket, owner, until)"
        " VALUES ($1, 1000, $2, now() + interval '1 min')",
        RELAY,
        busy,
    )
    lock = await connection.fetchval("SELECT pg_advisory_lock(1) IS NULL")
    switch = PartitionSwitch(
        connection, OperatorActions(connection, replica.outbox), timeout_seconds=0.5
    )
    with pytest.raises(RelayBusy):
        await switch.run(name, 5, WHY)
    assert lock is False
    assert await remembered(replica, name) == 4
    # The topic rests no longer.
    await replica.emit(a_request(ACCOUNT))
    await replica.wait_until_drained()


async def test_a11_two_operators_cannot_switch_one_topic_at_once(
    replica: KafkaFixture, connection: Any
) -> None:
    await replica.wait_until_healthy()
    name = replica.wire_name(Topic.VERIFICATION_REQUEST)
    await connection.execute(
        "UPDATE bus.topic SET switching_to = 5, switching_until = now() + interval '1 min'"
        " WHERE name = $1",
        name,
    )
    with pytest.raises(SwitchInProgress):
        await PartitionSwitch(connection, OperatorActions(connection, replica.outbox)).run(
            name, 5, WHY
        )


async def test_a11_a_switch_whose_command_was_killed_ends_by_itself(
    replica: KafkaFixture, connection: Any
) -> None:
    await replica.wait_until_healthy()
    await connection.execute(
        "UPDATE bus.topic SET switching_to = 5, change = 1,"
        " switching_until = now() + interval '6 s' WHERE name = $1",
        replica.wire_name(Topic.VERIFICATION_REQUEST),
    )
    await wait_until(lambda: rests(replica))
    await replica.emit(a_request(ACCOUNT))
    await replica.wait_until_drained()
    (record,) = await replica.read(Topic.VERIFICATION_REQUEST, 1)
    assert record.timestamp >= await connection.fetchval(
        "SELECT (extract(epoch from switching_until) * 1000)::bigint FROM bus.topic"
        " WHERE switching_until IS NOT NULL"
    )


async def rests(replica: KafkaFixture) -> bool:
    return replica.kafka.topics.switching_topics == {replica.wire_name(Topic.VERIFICATION_REQUEST)}


async def is_state(replica: KafkaFixture, state: str) -> bool:
    return replica.kafka.topics_state == state


async def remembers(replica: KafkaFixture, topic: str, partitions: int) -> bool:
    return await remembered(replica, topic) == partitions


async def test_new_topics_get_the_replication_of_the_settings(kafka_settings: BusSettings) -> None:
    settings = msgspec.structs.replace(kafka_settings, replication_factor=1, min_insync_replicas=1)
    name = settings.wire_name(Topic.DEATH_NOTIFICATION)
    async with (
        Database(settings) as database,
        KafkaFixture(settings, database).run() as replica,
    ):
        await replica.wait_until_healthy()
        async with open_reader(replica.clients) as reader:
            configuration = await reader.fetch_configuration([name])
            assert await reader.fetch_replica_counts([name]) == {name: 1}
    assert configuration[name]["min.insync.replicas"] == "1"


async def test_a_replication_that_the_cluster_cannot_give_creates_no_topic(
    kafka_settings: BusSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = msgspec.structs.replace(kafka_settings, replication_factor=3)
    async with (
        Database(settings) as database,
        KafkaFixture(settings, database).run() as replica,
    ):
        await replica.wait_until_healthy()
        assert sorted(replica.kafka.topics.missing) == sorted(required_topics(settings))
    errors = {one.error_class for one in caplog.records if one.message == "kafka.topic_not_created"}
    assert errors == {"aiokafka.errors.InvalidReplicationFactorError"}
