"""What a transactional producer has not committed has no effect, and its waiting is measured."""

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from govid.bus.events import Topic
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_inbox import NOTICE, RESULT, encoded, publish, send_marker, stored

pytestmark = pytest.mark.kafka

DEATHS = Topic.DEATH_NOTIFICATION
RESULTS = Topic.VERIFICATION_RESULT
BODIES = {DEATHS: NOTICE, RESULTS: RESULT}


def transactional(replica: KafkaFixture, codec: str = "none") -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": replica.settings.kafka_bootstrap_servers,
            "transactional.id": replica.settings.kafka_client_id,
            "compression.type": codec,
        }
    )
    producer.init_transactions(20)
    return producer


def begin(replica: KafkaFixture, topic: Topic, *bodies: bytes, codec: str = "none") -> Producer:
    """Return a producer whose open transaction has *bodies* in partition 0 of *topic*."""
    producer = transactional(replica, codec)
    producer.begin_transaction()
    for body in bodies:
        producer.produce(replica.wire_name(topic), body, partition=0)
    producer.flush(20)
    return producer


@pytest.mark.parametrize("topic", [DEATHS, RESULTS])
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_a5_records_of_an_aborted_transaction_have_no_effect(
    replica: KafkaFixture, codec: str, topic: Topic
) -> None:
    await replica.wait_until_healthy()
    body = encoded(BODIES[topic])
    producer = await asyncio.to_thread(begin, replica, topic, body, body, codec=codec)
    await asyncio.to_thread(producer.abort_transaction, 20)
    await publish(replica, topic)
    assert await stored(replica) == []
    assert await replica.count("inbox") == 1


End = Callable[[KafkaFixture, Producer], None]


def commit(replica: KafkaFixture, producer: Producer) -> None:
    del replica
    producer.commit_transaction(20)


def abort(replica: KafkaFixture, producer: Producer) -> None:
    del replica
    producer.abort_transaction(20)


def fence(replica: KafkaFixture, producer: Producer) -> None:
    """End the transaction as one of a producer that has died: its successor has the same id."""
    producer.purge()
    transactional(replica)


def held_back(replica: KafkaFixture, topic: Topic) -> int | None:
    return replica.kafka.inbox.held_back.get((topic.value, 0))


@pytest.mark.parametrize("topic", [DEATHS, RESULTS])
@pytest.mark.parametrize(("end", "count"), [(commit, 2), (abort, 0), (fence, 0)])
async def test_a5_an_open_transaction_holds_back_and_is_measured(
    replica: KafkaFixture, topic: Topic, end: End, count: int
) -> None:
    async def is_held_back(records: int) -> bool:
        return held_back(replica, topic) == records

    async def is_ok() -> bool:
        return replica.kafka.inbox.health_state() == "ok"

    await replica.wait_until_healthy()
    await wait_until(is_ok)
    body = encoded(BODIES[topic])
    producer = await asyncio.to_thread(begin, replica, topic, body, body)
    async with replica.external_producer() as external_producer:
        # It is committed, and waits all the same.
        await external_producer.send_and_wait(
            replica.wire_name(topic), send_marker(topic), partition=0
        )
    await wait_until(lambda: is_held_back(3))
    assert replica.kafka.inbox.lag[topic.value, 0] == 3
    assert replica.kafka.inbox.health_state() == "ok"
    assert await replica.count("event") == 0

    await asyncio.to_thread(end, replica, producer)
    await wait_until(lambda: replica.holds("event", count + 1))
    assert [row["payload"].encode() for row in await stored(replica)] == [body] * count
    await wait_until(lambda: is_held_back(0))
    assert replica.kafka.inbox.lag[topic.value, 0] == 0
