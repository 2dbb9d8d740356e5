"""Nothing is published while Kafka knows events that the database does not."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from govid.bus import BusSettings, Database, uuid7
from govid.bus.events import Topic
from govid.bus.kafka.batches import BatchSender
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_reader import open_reader
from govid.bus.operations.kafka_acceptance import accept_ahead
from govid.bus.operations.operator_actions import ActionMetadata, OperatorActions
from govid.gateway.checks.kafka import KafkaFindings, check_kafka
from govid.gateway.settings import load_from_environment
from tests.kafka.fixtures import KafkaFixture, a_request, header, wait_until
from tests.kafka.test_verify_kafka import administer, execute, prove, publish

pytestmark = pytest.mark.kafka

WHY = ActionMetadata(operator="tests", reason="restored from the backup of Monday")


@pytest.fixture
async def connection(bus_settings: BusSettings) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(bus_settings.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def kafka_database(kafka_settings: BusSettings) -> AsyncIterator[Database]:
    async with Database(kafka_settings) as database:
        yield database


async def forget(replica: KafkaFixture, ids: Sequence[UUID]) -> None:
    """Make the database as it was before the events *ids*, which Kafka has."""
    await execute(replica, "DELETE FROM bus.receipt WHERE event_id = ANY ($1)", ids)
    await execute(replica, "DELETE FROM bus.event WHERE id = ANY ($1)", ids)


@pytest.mark.parametrize("forgotten", [1, 3, 5])
async def test_a14_after_a_restore_nothing_is_published_until_it_is_accepted(
    kafka_settings: BusSettings, kafka_database: Database, connection: Any, forgotten: int
) -> None:
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        ids = await publish(replica, 5)
        await forget(replica, ids[-forgotten:])
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await wait_until(lambda: is_health(replica, "ahead"))
        await replica.emit(a_request(uuid4()))
        (one,) = replica.kafka.relay.ahead_guard.ahead_partitions
        assert (one.topic, one.event_id, one.end - one.first) == (
            replica.wire_name(Topic.VERIFICATION_REQUEST),
            ids[-forgotten],
            forgotten,
        )
        assert one.message.startswith(
            f"Kafka is ahead of this database at {one.topic}/{one.partition}: event {one.event_id}"
        )
        assert replica.kafka.relay.acknowledged_count == 0
        await accept_ahead(connection, OperatorActions(connection, replica.outbox), [one], WHY)
        await replica.wait_until_drained()
        assert await is_health(replica, "ok")
        # Accepted records stop nothing any more; that rows are missing stays true.
        ((finding,), tally) = await prove(replica)
        assert (finding.problem, finding.event_id) == ("record_unknown", ids[-forgotten])
        assert tally.ahead_since is None
    # What was accepted once is accepted, also by the next server.
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
        assert not replica.kafka.is_ahead
    acts = await connection.fetch("SELECT type FROM bus.event WHERE key = 'operator/topics'")
    assert [row["type"] for row in acts] == ["bus.topic.kafka_ahead_accepted"]


async def test_a14_a_running_relay_compares_again_when_the_history_of_the_database_changes(
    kafka_settings: BusSettings, kafka_database: Database
) -> None:
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        ids = await publish(replica, 5)
        assert await is_health(replica, "ok")
        await forget(replica, ids[-3:])
        kafka_database.history.change_count += 1
        await wait_until(lambda: is_health(replica, "ahead"))
        (one,) = replica.kafka.relay.ahead_guard.ahead_partitions
        assert (one.event_id, one.end - one.first) == (ids[-3], 3)
        await replica.emit(a_request(uuid4()))
        await wait_until(lambda: replica.holds("delivery", 1))
        assert replica.kafka.relay.acknowledged_count == len(ids)


async def test_a14_what_was_sent_before_a_change_of_the_history_is_not_completed_after_it(
    kafka_settings: BusSettings, kafka_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all = BatchSender.send_all

    async def send_and_fail_over(sender: BatchSender, *arguments: Any) -> None:
        await send_all(sender, *arguments)
        monkeypatch.setattr(BatchSender, "send_all", send_all)
        kafka_database.history.change_count += 1

    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await replica.wait_until_healthy()
        monkeypatch.setattr(BatchSender, "send_all", send_and_fail_over)
        (event_id,) = await publish(replica, 1)
        records = await replica.read(Topic.VERIFICATION_REQUEST, 2)
    assert [header(record, "ce_id") for record in records] == [str(event_id)] * 2


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_id", str(uuid7()).encode()), ("ce_source", b"/elsewhere")],
        [
            ("ce_id", str(uuid7()).encode()),
            ("ce_source", b"/govid/hmrc"),
            ("ce_installation", b"00000000000000ff"),
        ],
    ],
    ids=["no headers", "another source", "another installation"],
)
async def test_a14_records_that_this_installation_did_not_write_are_no_reason_to_wait(
    kafka_settings: BusSettings, kafka_database: Database, headers: list[tuple[str, bytes]]
) -> None:
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await publish(replica, 1)
        async with replica.external_producer() as producer:
            for topic in (Topic.VERIFICATION_REQUEST, Topic.DEATH_NOTIFICATION):
                await producer.send_and_wait(replica.wire_name(topic), b"{}", headers=headers)
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await publish(replica, 1)
        assert await is_health(replica, "ok")


async def test_a14_a_record_without_its_receipt_is_no_reason_to_wait(
    kafka_settings: BusSettings, kafka_database: Database
) -> None:
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        (event_id,) = await publish(replica, 1)
        await execute(replica, "DELETE FROM bus.receipt WHERE event_id = $1", event_id)
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await publish(replica, 1)
        assert await is_health(replica, "ok")


async def test_a14_a_topic_that_was_created_again_is_no_reason_to_wait(
    kafka_settings: BusSettings, kafka_database: Database
) -> None:
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await publish(replica, 3)
    topic = kafka_settings.wire_name(Topic.VERIFICATION_REQUEST)
    await administer(replica, lambda client: client.delete_topics([topic]))
    await wait_until(lambda: is_gone(kafka_settings, topic))
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        await publish(replica, 1)
        assert await is_health(replica, "ok")


async def test_a14_check_says_what_serve_says(
    kafka_settings: BusSettings, kafka_database: Database
) -> None:
    async with KafkaFixture(kafka_settings, kafka_database).run() as replica:
        ids = await publish(replica, 2)
        await forget(replica, ids[1:])
    found = await look(kafka_settings)
    (fault,) = found.relay_faults
    assert fault.startswith("Kafka is ahead of this database at ")
    assert fault.endswith(
        "; nothing is published until you have followed docs/restore.md and have run `govid topics "
        "accept-ahead` or `govid serve --accept-kafka-ahead`"
    )


async def test_a13_the_records_of_another_installation_are_named_as_such(
    replica: KafkaFixture,
) -> None:
    await publish(replica, 1)
    headers = [
        ("ce_id", str(uuid7()).encode()),
        ("ce_source", b"/govid/identity"),
        ("ce_installation", b"00000000000000ff"),
    ]
    async with replica.external_producer() as producer:
        name = replica.wire_name(Topic.VERIFICATION_REQUEST)
        for _ in range(2):
            await producer.send_and_wait(name, b"{}", partition=0, headers=headers)
    ((finding,), _) = await prove(replica)
    assert (finding.problem, finding.place) == ("foreign_producer", f"{name}/0")
    assert finding.text.startswith(
        f"2 records at {name}/0 are of another installation of govid (00000000000000ff)"
    )
    assert "GOVID_KAFKA_PREFIX" in finding.remedy


async def look(settings: BusSettings) -> KafkaFindings:
    """Look as `govid check` does; the mark of the test's topics is read as a prefix there."""
    loaded = load_from_environment(
        {
            "GOVID_DATABASE_URL": settings.database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "GOVID_KAFKA_PREFIX": settings.kafka_prefix,
        },
        env_file=None,
    )
    return await check_kafka(loaded)


async def is_health(replica: KafkaFixture, state: str) -> bool:
    return replica.kafka.health_state() == state


async def is_gone(settings: BusSettings, topic: str) -> bool:
    async with open_reader(KafkaClientFactory(settings.kafka_bootstrap_servers)) as archive:
        return topic not in await archive.fetch_partition_counts()
