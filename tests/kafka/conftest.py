"""A real Kafka: the run's own for most tests, one that may be killed for tests of outages."""

import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import wait
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from govid.bus import BusSettings, Database
from tests.backends import kafka
from tests.conftest import unavailable
from tests.kafka.fixtures import KafkaFixture


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """Report a connection that was left open in the test that left it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def killable_kafka() -> Iterator[kafka.Broker]:
    """Return a broker that the tests of one module may kill; they have to start it again."""
    try:
        with kafka.own() as broker:
            yield broker
    except kafka.Unavailable as error:
        unavailable(str(error))


@pytest.fixture
def kafka_settings(bus_settings: BusSettings, kafka_address: str) -> Iterator[BusSettings]:
    """Return settings of a bus with topics of its own on the shared broker.

    They are deleted afterwards: each partition takes memory of the broker that all tests use.
    """
    settings = on(kafka_address, bus_settings)
    yield settings
    client = AdminClient({"bootstrap.servers": kafka_address})
    own = [
        name
        for name in client.list_topics(timeout=10).topics
        if name.startswith(settings.kafka_prefix)
    ]
    if own:
        wait(client.delete_topics(own).values(), timeout=10)


@pytest.fixture
def killable_settings(bus_settings: BusSettings, killable_kafka: kafka.Broker) -> BusSettings:
    """Return settings of a bus with topics of its own on the broker that may be killed."""
    return on(killable_kafka.address, bus_settings)


@pytest.fixture
def mock_cluster() -> Iterator[str]:
    """Return the address of librdkafka's in-memory cluster: the right wire, and little else."""
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    broker, *_ = owner.list_topics(timeout=5).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del owner


def on(address: str, settings: BusSettings) -> BusSettings:
    """Return *settings* for the Kafka at *address*, with topics that no other test has."""
    mark = uuid4().hex[:8]
    return msgspec.structs.replace(
        settings,
        kafka_bootstrap_servers=address,
        kafka_client_id=f"{mark}.govid",
        kafka_prefix=f"{mark}.",
    )


@pytest.fixture
async def replica(kafka_settings: BusSettings) -> AsyncIterator[KafkaFixture]:
    """Return a replica that runs on the shared broker."""
    async with (
        Database(kafka_settings) as database,
        KafkaFixture(kafka_settings, database).run() as it,
    ):
        yield it


@pytest.fixture
async def killable_replica(killable_settings: BusSettings) -> AsyncIterator[KafkaFixture]:
    """Return a replica that runs on the broker that may be killed."""
    async with (
        Database(killable_settings) as database,
        KafkaFixture(killable_settings, database).run() as it,
    ):
        yield it
