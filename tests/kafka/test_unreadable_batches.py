"""Batches that cannot be read stop their partition, and only that."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec
import pytest
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.bus.kafka.inbound_faults import InboundFaults
from tests.backends import kafka, kafka_jars
from tests.backends.ports import free_port
from tests.chaos.proxy import Proxy
from tests.kafka.conftest import on, unavailable
from tests.kafka.fixtures import KafkaFixture, wait_until

pytestmark = pytest.mark.kafka

DEATHS = Topic.DEATH_NOTIFICATION
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = 61
CODEC = 22
MAGIC = 16
LENGTH = 8


@pytest.fixture(scope="module")
def proxy_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def jar_kafka(proxy_port: int) -> Iterator[kafka_jars.JarBroker]:
    """Return a broker whose files can be edited, and whose clients may come through a proxy."""
    if why_not := kafka_jars.missing():
        unavailable(f"no Kafka from jars: {why_not}")
    broker = kafka_jars.JarBroker(proxy=proxy_port)
    broker.start()
    kafka.wait_until_ready(broker.address)
    yield broker
    broker.remove()


@pytest.fixture
def jar_settings(bus_settings: BusSettings, jar_kafka: kafka_jars.JarBroker) -> BusSettings:
    return on(jar_kafka.address, bus_settings)


def a_notice(label: str) -> bytes:
    """Return a notice that no codec makes small."""
    return msgspec.json.encode(
        {
            "identifierType": "NIN",
            "identifierValue": "AB123456C",
            "reason": label,
            "timestamp": "2026-01-01T00:00:00Z",
            "ballast": token_hex(10_000),
        }
    )


def create(address: str, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(10)


def produce(address: str, topic: str, partition: int, codec: str, *values: bytes) -> None:
    """Write each of *values* in a batch of its own."""
    producer = Producer({"bootstrap.servers": address, "compression.type": codec})
    for value in values:
        producer.produce(topic, value, partition=partition)
        producer.flush(20)


def second_batch(data: bytes) -> int:
    """Return where the second batch of a segment begins."""
    return 12 + int.from_bytes(data[8:12])


Damage = Callable[[bytearray], None]


def flip(place: int, mask: int = 0x10) -> Damage:
    def damage(batch: bytearray) -> None:
        batch[place] ^= mask

    return damage


def of_codec(number: int) -> Damage:
    """Return what gives a batch another codec, with a checksum that fits."""

    def damage(batch: bytearray) -> None:
        batch[CODEC] = number
        batch[17:21] = calc_crc32c(bytes(batch[21:])).to_bytes(4)

    return damage


def edit(segment: Path, damage: Damage) -> None:
    """Damage the second batch of three in the file *segment*."""
    data = segment.read_bytes()
    start = second_batch(data)
    end = start + 12 + int.from_bytes(data[start + 8 : start + 12])
    batch = bytearray(data[start:end])
    damage(batch)
    segment.write_bytes(data[:start] + batch + data[end:])


AT_REST: dict[str, tuple[str, Damage, str]] = {
    **{codec: (codec, flip(RECORDS + 200), "checksum") for codec in CODECS},
    "unknown codec": ("none", of_codec(5), "codec"),
    "no zstd": ("none", of_codec(4), "compression"),
    "no gzip": ("none", of_codec(1), "compression"),
    "old magic": ("none", flip(MAGIC, 0x02), "UnknownError"),
    "longer": ("none", flip(LENGTH, 0x40), "missing"),
}
"""For each damaged partition: the codec of its records, what happens to the second, the reason."""


@pytest.fixture
async def damaged(
    jar_kafka: kafka_jars.JarBroker, jar_settings: BusSettings
) -> AsyncIterator[KafkaFixture]:
    """Return a replica on a topic each partition of which, but the last, is damaged at rest."""
    topic = jar_settings.wire_name(DEATHS)

    def prepare() -> None:
        create(jar_kafka.address, topic, len(AT_REST) + 1)
        for number, (codec, _, _) in enumerate([*AT_REST.values(), ("zstd", flip(0), "")]):
            values = [a_notice(f"{number}/{offset}") for offset in range(3)]
            produce(jar_kafka.address, topic, number, codec, *values)
        jar_kafka.stop()
        for number, (_, damage, _) in enumerate(AT_REST.values()):
            edit(jar_kafka.segment(topic, number), damage)
        jar_kafka.start()
        kafka.wait_until_ready(jar_kafka.address)

    await asyncio.to_thread(prepare)
    async with (
        Database(jar_settings) as database,
        KafkaFixture(jar_settings, database).run() as replica,
    ):
        yield replica


async def reasons(replica: KafkaFixture) -> set[str]:
    rows = await replica.database.reads.fetch(
        "SELECT payload->>'reason' AS reason FROM bus.event WHERE type = 'hmrc.death.notified'"
    )
    return {row["reason"] for row in rows}


def lines(caplog: pytest.LogCaptureFixture, message: str) -> dict[int, logging.LogRecord]:
    """Return the log lines *message* by partition."""
    return {record.partition: record for record in caplog.records if record.message == message}


async def test_a1_damage_at_rest_stops_its_partition_and_no_other(
    damaged: KafkaFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "govid")
    replica, topic, healthy = damaged, damaged.wire_name(DEATHS), len(AT_REST)
    faults = InboundFaults(replica.database.bus_reads)

    async def all_stopped() -> bool:
        return len(await faults.fetch_all()) == len(AT_REST)

    await wait_until(all_stopped)
    expected = {f"{number}/0" for number in range(healthy)}
    expected |= {f"{healthy}/{offset}" for offset in range(3)}
    assert await reasons(replica) == expected
    found = [
        (one.topic, one.partition, one.first_offset, one.next_offset, one.kind, one.reason)
        for one in await faults.fetch_all()
    ]
    assert found == [
        (topic, number, 1, 2, "unreadable", reason)
        for number, (_, _, reason) in enumerate(AT_REST.values())
    ]
    assert replica.kafka.inbox.health_state() == "stopped"
    assert replica.kafka.inbox.failing_partitions == {(DEATHS.value, n): 1 for n in range(healthy)}
    first, stopped = (lines(caplog, f"inbox.{x}") for x in ("position_failed", "partition_stopped"))
    assert {(n, one.offset, one.levelname) for n, one in stopped.items()} == {
        (n, 1, "ERROR") for n in range(healthy)
    }
    assert min(stopped[n].created - first[n].created for n in range(healthy)) >= 5.0

    for fault in await faults.fetch_all():
        assert (
            await faults.accept_skip(fault.topic, fault.partition, fault.first_offset) is not None
        )
    await wait_until(lambda: replica.holds("inbound_fault", 0))
    expected |= {f"{number}/2" for number in range(healthy)}
    await wait_until(lambda: have_come(replica, expected))
    assert await reasons(replica) == expected
    assert replica.kafka.inbox.failing_partitions == {}
    assert replica.kafka.inbox.health_state() == "ok"
    assert lines(caplog, "inbox.batch_stepped_over").keys() == {*range(healthy)}


async def have_come(replica: KafkaFixture, expected: set[str]) -> bool:
    return await reasons(replica) >= expected


@pytest.mark.parametrize("codec", CODECS)
async def test_a1_damage_in_transit_heals_by_itself(
    jar_kafka: kafka_jars.JarBroker,
    jar_settings: BusSettings,
    proxy_port: int,
    codec: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "govid")
    host, port = jar_kafka.behind.split(":")
    settings = msgspec.structs.replace(jar_settings, kafka_bootstrap_servers=f"{host}:{proxy_port}")
    topic = settings.wire_name(DEATHS)
    async with Proxy(host, int(port), proxy_port) as proxy, Database(settings) as database:
        await asyncio.to_thread(create, jar_kafka.address, topic, 2)
        async with KafkaFixture(settings, database).run() as replica:
            await wait_until(lambda: is_ok(replica))
            proxy.damage_over = 8_000
            values = [a_notice("0"), a_notice("1")]
            await asyncio.to_thread(produce, jar_kafka.address, topic, 0, codec, *values)
            await wait_until(lambda: has_damaged(proxy))
            await wait_until(lambda: has_failed(caplog))
            proxy.damage_over = None
            await wait_until(lambda: have_come(replica, {"0", "1"}))
            await wait_until(lambda: is_ok(replica))
            assert await replica.count("inbound_fault") == 0
    assert lines(caplog, "inbox.partition_stopped") == {}


async def is_ok(replica: KafkaFixture) -> bool:
    return replica.kafka.inbox.health_state() == "ok" and bool(replica.kafka.inbox.lag)


async def has_damaged(proxy: Proxy) -> bool:
    return proxy.damaged > 0


async def has_failed(caplog: pytest.LogCaptureFixture) -> bool:
    return bool(lines(caplog, "inbox.position_failed"))


async def test_a1_a_stopped_partition_goes_on_when_its_batch_has_healed(
    jar_kafka: kafka_jars.JarBroker,
    jar_settings: BusSettings,
    proxy_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "govid")
    host, port = jar_kafka.behind.split(":")
    settings = msgspec.structs.replace(jar_settings, kafka_bootstrap_servers=f"{host}:{proxy_port}")
    topic = settings.wire_name(DEATHS)
    async with Proxy(host, int(port), proxy_port) as proxy, Database(settings) as database:
        proxy.damage_over = 8_000
        await asyncio.to_thread(create, jar_kafka.address, topic, 2)
        await asyncio.to_thread(produce, jar_kafka.address, topic, 1, "lz4", a_notice("late"))
        async with KafkaFixture(settings, database).run() as replica:
            await wait_until(lambda: replica.holds("inbound_fault", 1))
            await asyncio.to_thread(produce, jar_kafka.address, topic, 0, "none", small("other"))
            await wait_until(lambda: have_come(replica, {"other"}))
            assert await reasons(replica) == {"other"}
            proxy.damage_over = None
            await wait_until(lambda: have_come(replica, {"late", "other"}))
            await wait_until(lambda: replica.holds("inbound_fault", 0))
    assert lines(caplog, "inbox.partition_resumed").keys() == {1}


def small(label: str) -> bytes:
    body: dict[str, Any] = msgspec.json.decode(a_notice(label))
    return msgspec.json.encode({**body, "ballast": ""})
