"""Reads topics for a person who watches, and speaks to them as a stranger would.

Nothing here takes part in delivery: no group, no commit, no receipt.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from govid.bus.errors import Outage
from govid.bus.kafka.cleanup import start, stop

POLL_MILLISECONDS = 500
LOOK_SECONDS = 2.0
"""How soon a topic or a partition is noticed that did not exist when the watch began."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record as it stands in Kafka. `timestamp` is the broker's, in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    headers: dict[str, str]
    value: bytes

    def __repr__(self) -> str:
        """Name the place only: the value may be personal (I9)."""
        return f"<Record {self.topic}/{self.partition}/{self.offset}>"


@asynccontextmanager
async def watching(
    bootstrap_servers: str,
    topics: Sequence[str],
    *,
    since: datetime | None,
    from_start: bool,
    to_end: bool = False,
    absent: Callable[[Sequence[str]], None] = lambda _: None,
) -> AsyncIterator[AsyncIterator[Record]]:
    """Follow *topics* from now on, from *since*, or from the oldest record that is there.

    When the block begins, the position is fixed: what is sent from then on will be seen. With
    *to_end* the end is fixed too, at the newest record that is there. Before it begins, *absent*
    hears of topics that do not exist, if there are such; they are followed once they do.

    Raises:
        Outage: Kafka does not answer.
    """
    # Without topics of its own: its start would wait for those that do not exist.
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        # For partitions that appear later: all of theirs is new.
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        try:
            await start(consumer)
            if missing := await _join(consumer, topics):
                absent(missing)
            if not from_start:
                await _seek(consumer, since)
            ends = await consumer.end_offsets(consumer.assignment()) if to_end else None
        except (KafkaError, OSError) as error:
            raise Outage("kafka") from error
        yield _records(consumer, topics) if ends is None else _records_before(consumer, ends)
    finally:
        await asyncio.shield(stop(consumer))


async def publish(bootstrap_servers: str, topic: str, key: str | None, value: bytes) -> None:
    """Send one record, as a system that knows nothing of govid but the topic would.

    Raises:
        Outage: Kafka does not answer.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    try:
        await start(producer)
        await producer.send_and_wait(topic, value, key=None if key is None else key.encode())
    except (KafkaError, OSError) as error:
        raise Outage("kafka") from error
    finally:
        await asyncio.shield(stop(producer))


async def _join(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[str]:
    """Follow those partitions of *topics* too that are new; return the topics that do not exist.

    Asked is for all topics: a broker may make one that is asked for by its name.
    """
    cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - there is no public way
    partitions = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
    there = {TopicPartition(topic, one) for topic in topics for one in partitions[topic]}
    followed = consumer.assignment()
    if there - followed:
        # An assignment begins from nothing, also for those that were followed before.
        positions = {one: await consumer.position(one) for one in followed}
        consumer.assign(list(there | followed))
        for partition, position in positions.items():
            consumer.seek(partition, position)
    return [topic for topic in topics if not partitions[topic]]


async def _seek(consumer: AIOKafkaConsumer, since: datetime | None) -> None:
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


async def _records(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> AsyncIterator[Record]:
    clock = asyncio.get_running_loop().time
    looked_at = clock()
    while True:
        batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS)
        for messages in batches.values():
            for message in messages:
                yield _record(message)
        if clock() - looked_at >= LOOK_SECONDS:
            looked_at = clock()
            # While Kafka is away there is nothing to see, and nothing is missed.
            with suppress(KafkaError):
                await _join(consumer, topics)


async def _records_before(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[Record]:
    # By positions, and not by the last record's offset: that one may have been compacted away.
    while left := [one for one in ends if await consumer.position(one) < ends[one]]:
        batches = await consumer.getmany(*left, timeout_ms=POLL_MILLISECONDS)
        for partition, messages in batches.items():
            for message in messages:
                if message.offset < ends[partition]:
                    yield _record(message)


def _record(message: ConsumerRecord) -> Record:
    return Record(
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
