"""The row of a fault ends when its fault does, with any reporter and any decision."""

from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_inbox import NOTICE, RESULT, encoded

pytestmark = pytest.mark.kafka

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
EACH_FAULT = pytest.mark.parametrize(
    ("topic", "body", "kind", "accepted_at"),
    [
        (Topic.DEATH_NOTIFICATION, NOTICE, "unreadable", None),
        (Topic.DEATH_NOTIFICATION, NOTICE, "failing", LONG_AGO),
        (Topic.VERIFICATION_RESULT, RESULT, "failing", None),
    ],
    ids=["unreadable", "accepted", "failing"],
)


async def report(
    replica: KafkaFixture, topic: Topic, offset: int, kind: str, accepted_at: datetime | None
) -> None:
    """Store a fault of partition 0 as another replica did."""
    await replica.database.reads.execute(
        "INSERT INTO bus.inbound_fault"
        " (topic, partition, first_offset, next_offset, kind, reason, accepted_at)"
        " VALUES ($1, 0, $2, $3, $4, 'checksum', $5)",
        replica.wire_name(topic),
        offset,
        offset + 1,
        kind,
        accepted_at,
    )


async def send(replica: KafkaFixture, topic: Topic, body: dict[str, object], count: int) -> None:
    async with replica.external_producer() as external_producer:
        for number in range(count):
            value = encoded({**body, "number": number})
            await external_producer.send_and_wait(replica.wire_name(topic), value, partition=0)


async def position(replica: KafkaFixture, topic: Topic) -> int | None:
    """Return the committed offset of partition 0."""
    consumer = group(replica)
    await consumer.start()
    try:
        committed: int | None = await consumer.committed(
            TopicPartition(replica.wire_name(topic), 0)
        )
    finally:
        await consumer.stop()
    return committed


async def has_committed(replica: KafkaFixture, topic: Topic, offset: int) -> bool:
    return await position(replica, topic) == offset


def group(replica: KafkaFixture) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=replica.settings.kafka_bootstrap_servers,
        group_id=f"{replica.settings.kafka_client_id}.inbox",
        enable_auto_commit=False,
    )


@EACH_FAULT
async def test_a3_a_fault_that_a_restart_has_mended_leaves_no_row(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await wait_until(lambda: has_committed(replica, topic, 0))
        await send(replica, topic, body, 2)
        await report(replica, topic, 0, kind, accepted_at)
        await report(replica, topic, 1, kind, None)
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await wait_until(lambda: replica.holds("event", 2))
            await wait_until(lambda: replica.holds("inbound_fault", 0))


@EACH_FAULT
async def test_a3_a_fault_that_was_passed_before_leaves_no_row(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await send(replica, topic, body, 2)
            await wait_until(lambda: has_committed(replica, topic, 2))
        await report(replica, topic, 1, kind, accepted_at)
        await report(replica, topic, 2, kind, accepted_at)
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await wait_until(lambda: replica.holds("inbound_fault", 1))
            # The other one is at the position, and nothing has passed it.
            assert await replica.count("inbound_fault", "first_offset = 2") == 1


@EACH_FAULT
async def test_a3_a_partition_without_a_position_begins_without_faults(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        first = KafkaFixture(kafka_settings, database)
        for offset in (0, 1, 700):
            await report(first, topic, offset, kind, accepted_at)
        async with first.run() as replica:
            await wait_until(lambda: replica.holds("inbound_fault", 0))
            await send(replica, topic, body, 2)
            await wait_until(lambda: replica.holds("event", 2))


@EACH_FAULT
async def test_a3_a_partition_that_is_set_back_begins_without_faults(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await wait_until(lambda: has_committed(replica, topic, 0))
        await set_position(replica, topic, 100)
        for offset in (0, 1, 100, 700):
            await report(replica, topic, offset, kind, accepted_at)
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await send(replica, topic, body, 2)
            await wait_until(lambda: replica.holds("event", 2))
            await wait_until(lambda: replica.holds("inbound_fault", 0))


async def set_position(replica: KafkaFixture, topic: Topic, offset: int) -> None:
    """Commit *offset* for partition 0, as of a topic that was longer."""
    consumer = group(replica)
    await consumer.start()
    place = TopicPartition(replica.wire_name(topic), 0)
    consumer.assign([place])
    try:
        await consumer.commit({place: offset})
    finally:
        await consumer.stop()
