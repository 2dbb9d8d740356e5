"""The row of a fault ends when its fault does, whoever reported it and whatever was decided."""

from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from govid.bus import BusSettings, Database
from govid.bus.contracts import Topic
from tests.kafka.house import House, until
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
    house: House, topic: Topic, offset: int, kind: str, accepted_at: datetime | None
) -> None:
    """Store a fault of partition 0 as another replica did."""
    await house.database.reads.execute(
        "INSERT INTO bus.inbound_fault"
        " (topic, partition, first_offset, next_offset, kind, reason, accepted_at)"
        " VALUES ($1, 0, $2, $3, $4, 'checksum', $5)",
        house.wire(topic),
        offset,
        offset + 1,
        kind,
        accepted_at,
    )


async def send(house: House, topic: Topic, body: dict[str, object], count: int) -> None:
    async with house.outsider() as outsider:
        for number in range(count):
            value = encoded({**body, "number": number})
            await outsider.send_and_wait(house.wire(topic), value, partition=0)


async def position(house: House, topic: Topic) -> int | None:
    """Return the committed offset of partition 0."""
    consumer = group(house)
    await consumer.start()
    try:
        committed: int | None = await consumer.committed(TopicPartition(house.wire(topic), 0))
    finally:
        await consumer.stop()
    return committed


async def has_committed(house: House, topic: Topic, offset: int) -> bool:
    return await position(house, topic) == offset


def group(house: House) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=house.settings.kafka_bootstrap_servers,
        group_id=f"{house.settings.kafka_client_id}.inbox",
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
        async with House(kafka_settings, database).open() as house:
            await until(lambda: has_committed(house, topic, 0))
        await send(house, topic, body, 2)
        await report(house, topic, 0, kind, accepted_at)
        await report(house, topic, 1, kind, None)
        async with House(kafka_settings, database).open() as house:
            await until(lambda: house.holds("event", 2))
            await until(lambda: house.holds("inbound_fault", 0))


@EACH_FAULT
async def test_a3_a_fault_that_was_passed_before_leaves_no_row(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        async with House(kafka_settings, database).open() as house:
            await send(house, topic, body, 2)
            await until(lambda: has_committed(house, topic, 2))
        await report(house, topic, 1, kind, accepted_at)
        await report(house, topic, 2, kind, accepted_at)
        async with House(kafka_settings, database).open() as house:
            await until(lambda: house.holds("inbound_fault", 1))
            # The other one is at the position, and nothing has passed it.
            assert await house.count("inbound_fault", "first_offset = 2") == 1


@EACH_FAULT
async def test_a3_a_partition_without_a_position_begins_without_faults(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        first = House(kafka_settings, database)
        for offset in (0, 1, 700):
            await report(first, topic, offset, kind, accepted_at)
        async with first.open() as house:
            await until(lambda: house.holds("inbound_fault", 0))
            await send(house, topic, body, 2)
            await until(lambda: house.holds("event", 2))


@EACH_FAULT
async def test_a3_a_partition_that_is_set_back_begins_without_faults(
    kafka_settings: BusSettings,
    topic: Topic,
    body: dict[str, object],
    kind: str,
    accepted_at: datetime | None,
) -> None:
    async with Database(kafka_settings) as database:
        async with House(kafka_settings, database).open() as house:
            await until(lambda: has_committed(house, topic, 0))
        await set_position(house, topic, 100)
        for offset in (0, 1, 100, 700):
            await report(house, topic, offset, kind, accepted_at)
        async with House(kafka_settings, database).open() as house:
            await send(house, topic, body, 2)
            await until(lambda: house.holds("event", 2))
            await until(lambda: house.holds("inbound_fault", 0))


async def set_position(house: House, topic: Topic, offset: int) -> None:
    """Commit *offset* for partition 0, as of a topic that was longer."""
    consumer = group(house)
    await consumer.start()
    place = TopicPartition(house.wire(topic), 0)
    consumer.assign([place])
    try:
        await consumer.commit({place: offset})
    finally:
        await consumer.stop()
