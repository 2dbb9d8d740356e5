"""Follows topics live for an operator, and publishes single records as an external system would.

Nothing here takes part in delivery: it uses no consumer group, no commits and no receipts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from govid.bus.kafka.client_lifecycle import start_client, stop_client, translate_client_errors
from govid.bus.kafka.clients import KafkaClientFactory

POLL_MILLISECONDS = 500
TOPIC_CHECK_SECONDS = 2.0
"""How often new topics and partitions are looked for."""


class TailRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it is in Kafka. `timestamp` is the broker's, in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    headers: dict[str, str]
    value: bytes

    def __repr__(self) -> str:
        """Show the position only: the value may be personal (I9)."""
        return f"<TailRecord {self.topic}/{self.partition}/{self.offset}>"


@asynccontextmanager
async def open_tail(
    clients: KafkaClientFactory,
    topics: Sequence[str],
    *,
    since: datetime | None,
    from_start: bool,
    to_end: bool = False,
    on_missing: Callable[[Sequence[str]], None] = lambda _: None,
) -> AsyncIterator[AsyncIterator[TailRecord]]:
    """Follow *topics* from now on, from *since*, or from their oldest record.

    The start position is fixed before the block begins, so every record sent from then on is seen.
    With *to_end* the end is fixed too, at the newest record. Before the block begins, *on_missing*
    is called with the topics that do not exist, if any; they are followed once they exist.

    Raises:
        Outage: Kafka does not answer.
    """
    # Created without topics: otherwise its start would wait for those that do not exist.
    consumer = clients.create_consumer(
        # For partitions that are added later: all their records are new.
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        with translate_client_errors():
            await start_client(consumer)
            if missing := await _assign_new_partitions(consumer, topics):
                on_missing(missing)
            if not from_start:
                await _seek_start(consumer, since)
            ends = await consumer.end_offsets(consumer.assignment()) if to_end else None
        yield (
            _follow_records(consumer, topics)
            if ends is None
            else _read_records_until(consumer, ends)
        )
    finally:
        await asyncio.shield(stop_client(consumer))


async def publish_record(
    clients: KafkaClientFactory, topic: str, key: str | None, value: bytes
) -> None:
    """Send one record, as an external system that knows only the topic would.

    Raises:
        Outage: Kafka does not answer.
    """
    producer = clients.create_producer(acks="all")
    try:
        with translate_client_errors():
            await start_client(producer)
            await producer.send_and_wait(topic, value, key=None if key is None else key.encode())
    finally:
        await asyncio.shield(stop_client(producer))


async def _assign_new_partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[str]:
    """Add new partitions of *topics* to the assignment; return the topics that do not exist.

    Metadata of all topics is requested, because a broker may create a topic on a request by name.
    """
    cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - existing is no public way
    partitions = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
    existing = {TopicPartition(topic, one) for topic in topics for one in partitions[topic]}
    followed = consumer.assignment()
    if existing - followed:
        # A new assignment loses all positions, including those of followed partitions.
        positions = {one: await consumer.position(one) for one in followed}
        consumer.assign(list(existing | followed))
        for partition, position in positions.items():
            consumer.seek(partition, position)
    return [topic for topic in topics if not partitions[topic]]


async def _seek_start(consumer: AIOKafkaConsumer, since: datetime | None) -> None:
    partitions = consumer.assignment()
    if not partitions:
        return
    starts = {}
    if since is not None:
        moment = int(since.timestamp() * 1000)
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, moment))
    ends = await consumer.end_offsets(partitions)
    for partition in partitions:
        start = starts.get(partition)
        consumer.seek(partition, ends[partition] if start is None else start.offset)


async def _follow_records(
    consumer: AIOKafkaConsumer, topics: Sequence[str]
) -> AsyncIterator[TailRecord]:
    clock = asyncio.get_running_loop().time
    checked_at = clock()
    while True:
        batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS)
        for messages in batches.values():
            for message in messages:
                yield _to_record(message)
        if clock() - checked_at >= TOPIC_CHECK_SECONDS:
            checked_at = clock()
            # While Kafka is unavailable no topic can appear, so nothing is missed.
            with suppress(KafkaError):
                await _assign_new_partitions(consumer, topics)


async def _read_records_until(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[TailRecord]:
    # Ends by position, not by the offset of the last record, which compaction may have removed.
    while left := [one for one in ends if await consumer.position(one) < ends[one]]:
        batches = await consumer.getmany(*left, timeout_ms=POLL_MILLISECONDS)
        for partition, messages in batches.items():
            for message in messages:
                if message.offset < ends[partition]:
                    yield _to_record(message)


def _to_record(message: ConsumerRecord) -> TailRecord:
    return TailRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        key=None if message.key is None else message.key.decode("utf-8", "replace"),
        headers={
            name: (value or b"").decode("utf-8", "replace") for name, value in message.headers
        },
        value=message.value or b"",
    )
