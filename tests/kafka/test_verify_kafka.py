"""Receipts are compared with the records in Kafka (r11)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from govid.bus import uuid7
from govid.bus.events import AccessDecided, NhsVerificationCompleted, Topic
from govid.bus.events import IdentifierType as Of
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_reader import open_reader
from govid.bus.operations.audit_findings import AuditFinding
from govid.bus.operations.verify_kafka import KafkaAudit, KafkaAuditResult
from govid.bus.operations.verify_outbox import AuditRange
from tests.kafka.fixtures import KafkaFixture, a_request, wait_until

pytestmark = pytest.mark.kafka

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def prove(
    replica: KafkaFixture, **options: Any
) -> tuple[list[AuditFinding], KafkaAuditResult]:
    """Prove the receipts of a range, by default of all."""
    born_at = options.pop("born_at", None)
    limits = {
        "since": None,
        "until": None,
        "now": datetime.now(UTC) + timedelta(seconds=1),
        "retained_days": 90.0,
        **options,
    }
    connection = await asyncpg.connect(replica.settings.database_url)
    try:
        async with open_reader(
            KafkaClientFactory(replica.settings.kafka_bootstrap_servers)
        ) as archive:
            proof = KafkaAudit(
                replica.settings,
                connection,
                archive,
                AuditRange.for_period(**limits),
                broker_started_at=born_at,
            )
            found = await proof.inspect_topics()
            found += [one async for some in proof.run() for one in some]
            return found, proof.result
    finally:
        await connection.close()


def counts(tally: KafkaAuditResult) -> tuple[int, int, int, int]:
    return tally.proved, tally.expired, tally.forgotten, tally.unplaced


async def publish(replica: KafkaFixture, count: int) -> list[UUID]:
    """Publish requests of one account; return the events' ids in order."""
    account = uuid4()
    await replica.emit(*(a_request(account) for _ in range(count)))
    await replica.wait_until_drained()
    rows = await replica.database.reads.fetch(
        "SELECT id FROM bus.event WHERE key = $1 ORDER BY seq", f"verification/{account}"
    )
    return [row["id"] for row in rows]


async def place_of(replica: KafkaFixture, event_id: UUID) -> tuple[str, int, int]:
    row = await replica.database.reads.fetchrow(
        'SELECT topic, partition, "offset" FROM bus.receipt WHERE event_id = $1', event_id
    )
    return row["topic"], row["partition"], row["offset"]


async def execute(replica: KafkaFixture, statement: str, *parameters: Any) -> None:
    """Do by hand what the bus never does."""
    async with replica.database.reads.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement, *parameters)


async def administer(
    replica: KafkaFixture, change: Callable[[AdminClient], dict[Any, Any]]
) -> None:
    """Change the topics by *change*, and wait until it is done."""

    def do() -> None:
        client = AdminClient({"bootstrap.servers": replica.settings.kafka_bootstrap_servers})
        [future.result(10) for future in change(client).values()]

    await asyncio.to_thread(do)


async def test_r11_every_receipt_is_proved_by_its_record(replica: KafkaFixture) -> None:
    await publish(replica, 20)
    answer = NhsVerificationCompleted(
        user_id=uuid4(), identifier_type=Of.NHS, is_verified=True, timestamp=NOON
    )
    decision = AccessDecided(timestamp=NOON, resource="r", granted=True, correlation_id="c")
    await replica.emit(answer, decision)
    await replica.wait_until_drained()
    found, tally = await prove(replica)
    assert found == []
    assert counts(tally) == (22, 0, 0, 0)
    assert tally.ahead_since is None


async def test_r11_a_range_proves_its_own(replica: KafkaFixture) -> None:
    await publish(replica, 3)
    await asyncio.sleep(0.002)
    between = datetime.now(UTC)
    await publish(replica, 2)
    assert counts((await prove(replica, since=between))[1]) == (2, 0, 0, 0)
    assert counts((await prove(replica, until=between))[1]) == (3, 0, 0, 0)


async def test_r11_a_record_that_was_deleted_from_kafka_is_missed(replica: KafkaFixture) -> None:
    first, second, _ = await publish(replica, 3)
    topic, partition, offset = await place_of(replica, second)
    where = f"{topic}/{partition}/{offset - 1}"
    await administer(
        replica,
        lambda client: client.delete_records([TopicPartition(topic, partition, offset + 1)]),
    )
    found, tally = await prove(replica)
    (missing,) = found
    assert (missing.count, missing.event_id, missing.place) == (2, first, where)
    assert missing.format_line() == (
        f"record_missing: Kafka has no record at {where}, where it had acknowledged event {first}, "
        "and 1 more of this topic are gone. To do: `govid outbox replay --unproved --reason '...'` "
        "publishes all again that Kafka has lost, with the same ids."
    )
    assert counts(tally) == (1, 0, 0, 0)


async def test_r11_what_kafka_let_go_of_in_its_own_time_is_not_missed(
    replica: KafkaFixture,
) -> None:
    ids = await publish(replica, 2)
    topic, partition, offset = await place_of(replica, ids[-1])
    short = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[short])
    await administer(replica, lambda client: client.incremental_alter_configs([resource]))
    await wait_until(lambda: is_kept_for(replica, topic, 1.0))
    await administer(
        replica,
        lambda client: client.delete_records([TopicPartition(topic, partition, offset + 1)]),
    )
    await execute(replica, "UPDATE bus.receipt SET handled_at = now() - interval '1 minute'")
    assert counts((await prove(replica))[1]) == (0, 2, 0, 0)
    assert (await prove(replica))[0] == []


async def test_r11_another_record_in_the_place_is_found(replica: KafkaFixture) -> None:
    first, second = await publish(replica, 2)
    topic, partition, offset = await place_of(replica, first)
    await execute(
        replica, 'UPDATE bus.receipt SET "offset" = 1 - "offset" WHERE partition = $1', partition
    )
    found, _ = await prove(replica)
    assert [(one.problem, one.event_id, one.place, one.count) for one in found] == [
        ("record_differs", second, f"{topic}/{partition}/{offset}", 2),
    ]
    text = f"where it had acknowledged event {second}, and 1 more of this topic are gone"
    assert text in found[0].text


async def test_r11_a_topic_that_was_made_anew_has_lost_its_records(replica: KafkaFixture) -> None:
    (event_id,) = await publish(replica, 1)
    topic, _, _ = await place_of(replica, event_id)
    await replica.kafka.stop()
    await administer(replica, lambda client: client.delete_topics([topic], operation_timeout=10))
    await wait_until(lambda: is_gone(replica, topic))
    ((gone,), _) = await prove(replica)
    assert (gone.problem, gone.place, gone.count) == ("topic_missing", topic, 1)
    await administer(replica, lambda client: client.create_topics([NewTopic(topic, 4, 1)]))
    await wait_until(lambda: is_there(replica, topic))
    ((missing,), _) = await prove(replica)
    assert (missing.problem, missing.event_id) == ("record_missing", event_id)


async def test_r11_a_record_of_unknown_offset_is_searched_by_its_id(replica: KafkaFixture) -> None:
    present, _ = await publish(replica, 2)
    await execute(replica, 'UPDATE bus.receipt SET "offset" = -1 WHERE event_id = $1', present)
    assert counts((await prove(replica))[1]) == (2, 0, 0, 0)
    await execute(replica, 'UPDATE bus.receipt SET event_id = $1 WHERE "offset" = -1', uuid7())
    assert counts((await prove(replica))[1]) == (1, 0, 0, 1)


async def test_r11_an_earlier_life_of_a_broker_that_forgets_proves_nothing(
    replica: KafkaFixture,
) -> None:
    await publish(replica, 2)
    await asyncio.sleep(0.002)
    born_at = datetime.now(UTC)
    found, tally = await prove(replica, born_at=born_at)
    assert (found, counts(tally)) == ([], (0, 0, 2, 0))


async def test_r11_rows_that_were_deleted_are_seen_in_kafka(replica: KafkaFixture) -> None:
    ids = await publish(replica, 4)
    gone = ids[1:3]
    topic, partition, offset = await place_of(replica, gone[0])
    await execute(replica, "DELETE FROM bus.receipt WHERE event_id = ANY ($1)", gone)
    await execute(replica, "DELETE FROM bus.event WHERE id = ANY ($1)", gone)
    ((finding,), tally) = await prove(replica)
    assert (finding.problem, finding.event_id) == ("record_unknown", gone[0])
    assert finding.text.startswith(
        f"Kafka has 2 records at {topic}/{partition}/{offset} to {offset + 1} whose events are not"
    )
    assert tally.ahead_since is None


async def test_r14_what_others_published_is_no_ones_loss(replica: KafkaFixture) -> None:
    await replica.wait_until_healthy()
    async with replica.external_producer() as producer:
        topic = replica.wire_name(Topic.VERIFICATION_RESULT)
        theirs = [("ce_id", str(uuid7()).encode()), ("ce_source", b"/elsewhere")]
        await producer.send_and_wait(topic, b"{}", partition=0, headers=theirs)
        await producer.send_and_wait(topic, b"{}", partition=0)
    found, tally = await prove(replica)
    assert (found, tally.records_read) == ([], 2)


async def test_r11_a_topic_with_more_partitions_than_yesterday_is_found(
    replica: KafkaFixture,
) -> None:
    await publish(replica, 1)
    topic = replica.wire_name(Topic.VERIFICATION_REQUEST)
    await administer(replica, lambda client: client.create_partitions([NewPartitions(topic, 6)]))
    await wait_until(lambda: has_partitions(replica, topic, 6))
    ((finding,), tally) = await prove(replica)
    assert finding.text == f"topic {topic} has 6 partitions and had 4 when it was first seen"
    assert tally.proved == 1


async def test_r11_the_in_memory_cluster_can_be_read_as_well(
    replica: KafkaFixture, mock_cluster: str
) -> None:
    await replica.wait_until_healthy()
    replica.settings = msgspec.structs.replace(
        replica.settings, kafka_bootstrap_servers=mock_cluster, kafka_prefix=""
    )
    async with replica.external_producer() as producer:
        await producer.send_and_wait(Topic.DEATH_NOTIFICATION.value, b"{}")
    found, tally = await prove(replica, born_at=NOON)
    assert ([one.problem for one in found], tally.records_read) == ([], 1)


async def is_kept_for(replica: KafkaFixture, topic: str, seconds: float) -> bool:
    async with open_reader(KafkaClientFactory(replica.settings.kafka_bootstrap_servers)) as archive:
        return (await archive.fetch_retention([topic]))[topic].seconds == seconds


async def has_partitions(replica: KafkaFixture, topic: str, count: int) -> bool:
    async with open_reader(KafkaClientFactory(replica.settings.kafka_bootstrap_servers)) as archive:
        return (await archive.fetch_partition_counts()).get(topic) == count


async def is_gone(replica: KafkaFixture, topic: str) -> bool:
    return not await is_there(replica, topic)


async def is_there(replica: KafkaFixture, topic: str) -> bool:
    async with open_reader(KafkaClientFactory(replica.settings.kafka_bootstrap_servers)) as archive:
        return topic in await archive.fetch_partition_counts()
