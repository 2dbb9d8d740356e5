"""aiokafka without govid, with the settings of govid's producer: the baseline of the relay."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Consumer, TopicPartition

from govid.bus.kafka.producer import BATCH_BYTES

PARTITIONS = 4
READ_SECONDS = 20


class Record(NamedTuple):
    """One record as Kafka stores it."""

    partition: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def records(address: str, topic: str) -> list[Record]:
    """Return all records of *topic*."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench"})
    found: list[Record] = []
    try:
        places = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
        left = sum(consumer.get_watermark_offsets(each, timeout=READ_SECONDS)[1] for each in places)
        consumer.assign(places)
        while left > 0:
            messages = consumer.consume(min(left, 10_000), READ_SECONDS)
            if not messages:
                raise RuntimeError(f"{topic}: Kafka gave all but {left} records")
            found += map(_record, messages)
            left -= len(messages)
    finally:
        consumer.close()
    return found


def _record(message: Any) -> Record:
    return Record(message.partition(), message.key(), message.value(), message.headers())


@asynccontextmanager
async def producing(address: str, topic: str) -> AsyncIterator[AIOKafkaProducer]:
    """Create *topic* and yield a producer that is ready for it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=address,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
    ) as producer:
        await producer.partitions_for(topic)
        yield producer


async def send(address: str, topic: str, found: Sequence[Record]) -> float:
    """Send each record by `send`, as every program does; return records/s until the last ack."""
    async with producing(address, topic) as producer:
        began = perf_counter()
        acknowledgements = [
            await producer.send(topic, r.value, r.key, r.partition, headers=r.headers)
            for r in found
        ]
        await asyncio.gather(*acknowledgements)
        return len(found) / (perf_counter() - began)


async def send_batches(address: str, topic: str, found: Sequence[Record]) -> float:
    """Do the same by batches made by hand, as the relay does: as fast as aiokafka can be."""
    async with producing(address, topic) as producer:
        began = perf_counter()
        lanes: dict[int, list[Record]] = {n: [] for n in range(PARTITIONS)}
        for record in found:
            lanes[record.partition].append(record)
        await asyncio.gather(
            *(_lane(producer, topic, number, lane) for number, lane in lanes.items())
        )
        return len(found) / (perf_counter() - began)


async def _lane(
    producer: AIOKafkaProducer, topic: str, partition: int, lane: Sequence[Record]
) -> None:
    waiting: list[asyncio.Future[object]] = []
    batch = producer.create_batch()
    for record in lane:
        while not batch.append(
            timestamp=None, key=record.key, value=record.value, headers=record.headers
        ):
            batch.close()
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
    batch.close()
    waiting.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*waiting)


@asynccontextmanager
async def consuming(address: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a consumer at the end of *topic* that has already sent its next fetch request."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.seek_to_end()
        yield consumer
    finally:
        await consumer.stop()
