"""Batches that cannot be read keep no server from publishing and no command from going on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.gateway.cli.commands import commands
from tests.audit_entries import AUDIT_KEY
from tests.backends import kafka, kafka_jars
from tests.kafka.conftest import on, unavailable
from tests.kafka.fixtures import KafkaFixture, a_request, wait_until
from tests.kafka.test_kafka_ahead import forget, look
from tests.kafka.test_unreadable_batches import AT_REST, Damage, a_notice, create, edit, of_codec
from tests.kafka.test_verify_kafka import place_of, prove, publish
from tests.unit.cli.golden import PLAIN

pytestmark = pytest.mark.kafka

DEATHS = Topic.DEATH_NOTIFICATION
OLD_MAGIC = "old magic"
"""The broker hands such a batch out to whom it needs not tell aborted transactions."""
NAME = "name-to-be-damaged"


def with_header_name_that_is_not_utf8(batch: bytearray) -> None:
    batch[batch.index(NAME.encode())] = 0xFF
    of_codec(0)(batch)


HEADER: tuple[str, Damage, str] = ("none", with_header_name_that_is_not_utf8, "")
CASES = [*AT_REST.values(), HEADER]
"""For each partition: the codec, the damage to the second batch; the last can still be read."""


class Damaged(NamedTuple):
    """A cluster on which one inbound topic is damaged, and the settings that lead to it."""

    settings: BusSettings
    topic: str

    @property
    def unreadable(self) -> list[tuple[str, int, int, str]]:
        """Topic, partition, offset and reason of each batch that cannot be read."""
        return [
            (self.topic, number, 1, reason)
            for number, (name, (_, _, reason)) in enumerate(AT_REST.items())
            if name != OLD_MAGIC
        ]

    @property
    def warnings(self) -> list[str]:
        """Return what every command says of them."""
        return [
            f"records at {topic}/{partition}/{offset} to {offset} cannot be read ({reason}): they "
            "were not compared with the database"
            for topic, partition, offset, reason in self.unreadable
        ]


def produce(address: str, topic: str, partition: int, codec: str) -> None:
    """Write three batches of one record each."""
    producer = Producer({"bootstrap.servers": address, "compression.type": codec})
    for offset in range(3):
        value = a_notice(f"{partition}/{offset}")
        producer.produce(topic, value, partition=partition, headers=[(NAME, b"1")])
        producer.flush(20)


@pytest.fixture(scope="module")
def jar_kafka() -> Iterator[kafka_jars.JarBroker]:
    """Return a broker whose files can be edited."""
    if why_not := kafka_jars.missing():
        unavailable(f"no Kafka from jars: {why_not}")
    broker = kafka_jars.JarBroker()
    broker.start()
    kafka.wait_until_ready(broker.address)
    yield broker
    broker.remove()


@pytest.fixture
async def damaged(jar_kafka: kafka_jars.JarBroker, bus_settings: BusSettings) -> Damaged:
    settings = on(jar_kafka.address, bus_settings)
    topic = settings.wire_name(DEATHS)

    def prepare() -> None:
        create(jar_kafka.address, topic, len(CASES))
        for number, (codec, _, _) in enumerate(CASES):
            produce(jar_kafka.address, topic, number, codec)
        jar_kafka.stop()
        for number, (_, damage, _) in enumerate(CASES):
            edit(jar_kafka.segment(topic, number), damage)
        jar_kafka.start()
        kafka.wait_until_ready(jar_kafka.address)

    await asyncio.to_thread(prepare)
    return Damaged(settings, topic)


@pytest.fixture
async def database(damaged: Damaged) -> AsyncIterator[Database]:
    async with Database(damaged.settings) as database:
        yield database


async def test_a14_batches_that_cannot_be_read_keep_nothing_from_being_published(
    damaged: Damaged, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "govid")
    async with KafkaFixture(damaged.settings, database).run() as replica:
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
        assert replica.kafka.relay.acknowledged_count == 1
        assert not replica.kafka.is_ahead
    reported = [one for one in caplog.records if one.message == "relay.kafka_unreadable"]
    assert [(one.topic, one.partition, one.offset, one.reason) for one in reported] == (
        damaged.unreadable
    )
    assert {one.levelname for one in reported} == {"WARNING"}
    assert "relay.round_failed" not in {one.message for one in caplog.records}


async def test_a1_check_and_serve_name_batches_that_cannot_be_read(
    damaged: Damaged, database: Database
) -> None:
    async with KafkaFixture(damaged.settings, database).run() as replica:
        await replica.wait_until_healthy()
    found = await look(damaged.settings)
    assert [one for one in found.warnings if "cannot be read" in one] == damaged.warnings
    assert found.relay_faults == []


async def test_a1_verify_names_batches_that_cannot_be_read_and_proves_the_rest(
    damaged: Damaged, database: Database
) -> None:
    async with KafkaFixture(damaged.settings, database).run() as replica:
        await publish(replica, 3)
        found, tally = await prove(replica)
    assert [(one.problem, one.place) for one in found] == [
        ("record_unreadable", f"{topic}/{partition}/{offset}")
        for topic, partition, offset, _ in damaged.unreadable
    ]
    assert (tally.proved, tally.unreadable) == (3, 0)


async def test_a1_receipts_of_a_batch_that_cannot_be_read_are_not_disproved(
    damaged: Damaged, database: Database, jar_kafka: kafka_jars.JarBroker
) -> None:
    async with KafkaFixture(damaged.settings, database).run() as replica:
        await publish(replica, 1)
        ids = await publish(replica, 1)
        for _ in range(2):
            await replica.emit(a_request(uuid4()))
            await replica.wait_until_drained()
        topic, partition, offset = await place_of(replica, ids[0])
    await asyncio.to_thread(jar_kafka.stop)
    path = jar_kafka.segment(topic, partition)
    data = bytearray(path.read_bytes())
    data[data.index(str(ids[0]).encode())] ^= 0x10
    path.write_bytes(data)
    await asyncio.to_thread(jar_kafka.start)
    await asyncio.to_thread(kafka.wait_until_ready, jar_kafka.address)
    found, tally = await prove(replica)
    assert [one.problem for one in found if one.place == f"{topic}/{partition}/{offset}"] == [
        "record_unreadable"
    ]
    assert {one.problem for one in found} == {"record_unreadable"}
    assert (tally.proved, tally.unreadable) == (3, 1)


async def test_a14_what_is_ahead_is_found_beside_batches_that_cannot_be_read(
    damaged: Damaged, database: Database
) -> None:
    async with KafkaFixture(damaged.settings, database).run() as replica:
        ids = await publish(replica, 5)
        await forget(replica, ids[3:])
    runner = CliRunner(
        env={
            **PLAIN,
            "GOVID_DATABASE_URL": damaged.settings.database_url,
            "GOVID_AUDIT_KEY": AUDIT_KEY,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": damaged.settings.kafka_bootstrap_servers,
            "GOVID_KAFKA_PREFIX": damaged.settings.kafka_prefix,
        }
    )
    line = ["topics", "accept-ahead", "--reason", "tests", "--yes"]
    done = await asyncio.to_thread(runner.invoke, commands, line)
    assert done.exit_code == 0, done.output
    assert [one for one in done.stderr.splitlines() if one.startswith("warning: ")] == [
        f"warning: {one}" for one in damaged.warnings
    ]
    assert f"event {ids[3]} of " in done.stderr
    connection = await asyncpg.connect(damaged.settings.database_url)
    acts = await connection.fetch("SELECT type FROM bus.event WHERE key = 'operator/topics'")
    await connection.close()
    assert [row["type"] for row in acts] == ["bus.topic.kafka_ahead_accepted"]
    async with KafkaFixture(damaged.settings, database).run() as replica:
        await replica.emit(a_request(uuid4()))
        await wait_until(lambda: replica.holds("delivery", 0, "subscriber = 'kafka.relay'"))
