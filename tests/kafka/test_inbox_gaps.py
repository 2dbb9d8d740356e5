"""Inbound records that Kafka removed before they were read are named, until they are given up."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from confluent_kafka import TopicPartition

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.bus.kafka.inbound_faults import InboxGaps
from govid.bus.operations.kafka_acceptance import accept_gap
from govid.bus.operations.operator_actions import ActionMetadata, OperatorActions
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_verify_kafka import administer, prove

pytestmark = pytest.mark.kafka

WHY = ActionMetadata(operator="tests", reason="the sender has sent them again")


@pytest.fixture
async def connection(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return a connection of an operator's."""
    connection = await asyncpg.connect(bus_settings.database_url)
    yield connection
    await connection.close()


def notice(number: int) -> bytes:
    nino = f"AB{number:06}C"
    return (
        f'{{"identifierType":"NIN","identifierValue":"{nino}","timestamp":"2026-01-05T14:30:00Z"}}'
    ).encode()


async def send(replica: KafkaFixture, topic: str, *numbers: int) -> None:
    async with replica.external_producer() as producer:
        for number in numbers:
            await producer.send_and_wait(topic, notice(number), partition=0)


async def took_in(replica: KafkaFixture, count: int) -> bool:
    return await replica.count("event", "type = 'hmrc.death.notified'") == count


@pytest.mark.parametrize(
    ("removed_before", "read", "place"),
    [(2, 3, "1 to 1"), (3, 2, "1 to 2"), (4, 1, "1 to 3")],
)
async def test_a9_records_removed_before_they_were_read_are_named(
    kafka_settings: BusSettings,
    connection: Any,
    removed_before: int,
    read: int,
    place: str,
) -> None:
    topic = kafka_settings.wire_name(Topic.DEATH_NOTIFICATION)
    count = removed_before - 1
    async with Database(kafka_settings) as database:
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await replica.wait_until_healthy()
            await send(replica, topic, 1)
            await wait_until(lambda: took_in(replica, 1))
        await send(replica, topic, 2, 3, 4)
        await administer(
            replica,
            lambda client: client.delete_records([TopicPartition(topic, 0, removed_before)]),
        )
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await send(replica, topic, 5)
            await wait_until(lambda: took_in(replica, 1 + read))
            ((finding,), tally) = await prove(replica)
            assert (finding.problem, finding.count) == ("inbound_removed", count)
            assert finding.text.startswith(
                f"Kafka removed {count} records at {topic}/0/{place} before they were read"
            )
            assert f"`govid topics accept-gap {topic} 0 1 --reason '...'`" in finding.remedy
            assert tally.inbound_removed == count
            counted = replica.registry.get_sample_value(
                "govid_inbox_removed_records_total", {"topic": Topic.DEATH_NOTIFICATION}
            )
            assert counted == count
            acts = OperatorActions(connection, replica.outbox)
            assert await accept_gap(connection, acts, topic, 0, 1, WHY) == count
            assert (await prove(replica))[0] == []
            assert await accept_gap(connection, acts, topic, 0, 1, WHY) == 0
    kinds = await connection.fetch("SELECT type FROM bus.event WHERE key = 'operator/topics'")
    assert [row["type"] for row in kinds] == ["bus.topic.gap_accepted"]


async def test_a9_nothing_is_named_where_nothing_was_removed(kafka_settings: BusSettings) -> None:
    topic = kafka_settings.wire_name(Topic.DEATH_NOTIFICATION)
    async with Database(kafka_settings) as database:
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await replica.wait_until_healthy()
            await send(replica, topic, 1)
            await wait_until(lambda: took_in(replica, 1))
        await send(replica, topic, 2)
        async with KafkaFixture(kafka_settings, database).run() as replica:
            await wait_until(lambda: took_in(replica, 2))
            assert (await prove(replica))[0] == []


async def test_a9_a_gap_that_grows_has_to_be_accepted_anew(connection: Any) -> None:
    counted: list[tuple[str, int]] = []
    gaps = InboxGaps(connection, lambda topic, records: counted.append((topic, records)))
    assert await gaps.record_gap("t", 0, 3, 5) is True
    assert await gaps.record_gap("t", 0, 3, 5) is False
    assert await gaps.record_gap("t", 0, 3, 9) is True
    assert await gaps.record_gap("t", 1, 3, 4) is True
    rows = await connection.fetch("SELECT first, next FROM bus.inbox_gap ORDER BY partition")
    assert [tuple(row) for row in rows] == [(3, 9), (3, 4)]
    # Each record once: what the gap has grown by.
    assert counted == [("t", 2), ("t", 4), ("t", 1)]
