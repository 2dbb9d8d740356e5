"""Reads what stands in Kafka, from an offset to the end that there was when the reading began."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from govid.bus.errors import Outage
from govid.bus.kafka.cleanup import start, stop

ANSWER_SECONDS = 10.0
POLL_MS = 1_000
POLL_RECORDS = 5_000
FETCH_WAIT_MS = 10
NO_ERROR = 0


class Bounds(msgspec.Struct, frozen=True):
    """The oldest offset that Kafka still has of a partition, and the one after its newest."""

    first: int
    end: int


class Keeping(msgspec.Struct, frozen=True):
    """How a topic keeps its records: for how long, and whether only their age decides."""

    seconds: float | None
    by_age_only: bool


class Archive:
    """The topics, read by nobody in particular: no group, no commit."""

    def __init__(self, bootstrap_servers: str, consumer: Any) -> None:
        """Read through *consumer*; use `reading`."""
        self._servers = bootstrap_servers
        self._consumer = consumer

    async def partitions(self) -> Mapping[str, int]:
        """Return how many partitions each topic has."""
        with _outages():
            client = self._consumer._client  # noqa: SLF001 - the consumer asks for its own only
            cluster = await client.fetch_all_metadata()
        counts = {name: len(cluster.partitions_for_topic(name) or ()) for name in cluster.topics()}
        return {name: count for name, count in counts.items() if count}

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Return what Kafka has of a partition."""
        place = TopicPartition(topic, partition)
        with _outages():
            first = await self._consumer.beginning_offsets([place])
            end = await self._consumer.end_offsets([place])
        return Bounds(first[place], end[place])

    async def all_bounds(self, topics: Sequence[str]) -> Mapping[tuple[str, int], Bounds]:
        """Return what Kafka has of every partition of *topics*, which exist, in two questions."""
        counts = await self.partitions()
        places = [TopicPartition(name, n) for name in topics for n in range(counts.get(name, 0))]
        if not places:
            return {}
        with _outages():
            first = await self._consumer.beginning_offsets(places)
            end = await self._consumer.end_offsets(places)
        return {(one.topic, one.partition): Bounds(first[one], end[one]) for one in places}

    async def offset_at(self, topic: str, partition: int, moment: datetime) -> int | None:
        """Return the offset of the first record from *moment* on; None if there is none."""
        place = TopicPartition(topic, partition)
        with _outages():
            found = await self._consumer.offsets_for_times({place: int(moment.timestamp() * 1000)})
        return found[place].offset if found.get(place) else None

    async def read(
        self, topic: str, partition: int, start: int, end: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the records from offset *start* to before *end*, some at a time.

        Raises:
            Outage: Kafka stopped answering.
        """
        place = TopicPartition(topic, partition)
        self._consumer.assign([place])
        self._consumer.seek(place, start)
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while await self._consumer.position(place) < end:
            batches = await self._consumer.getmany(
                place, timeout_ms=POLL_MS, max_records=POLL_RECORDS
            )
            records = [one for one in batches.get(place, ()) if one.offset < end]
            if records:
                heard_at = loop.time()
                yield records
            elif loop.time() - heard_at > ANSWER_SECONDS:
                raise Outage("kafka")

    async def replicas(self, topics: Sequence[str]) -> Mapping[str, int]:
        """Return on how many brokers each of *topics* stands, at the partition that has fewest."""
        with _outages():
            client = self._consumer._client  # noqa: SLF001 - the consumer asks for its own only
            cluster = await client.fetch_all_metadata()
        partitions = cluster._partitions  # noqa: SLF001 - there is no public way
        return {
            name: min(len(one.replicas) for one in partitions[name].values())
            for name in topics
            if partitions.get(name)
        }

    async def keeping(self, topics: Sequence[str]) -> Mapping[str, Keeping]:
        """Return how *topics* keep their records, of those that tell."""
        return {
            name: _keeping(entries) for name, entries in (await self.configuration(topics)).items()
        }

    async def configuration(self, topics: Sequence[str]) -> Mapping[str, Mapping[str, str | None]]:
        """Return the settings of *topics* at the brokers, of those that tell."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        try:
            await start(admin)
            answers = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
            )
        except (KafkaError, OSError, AttributeError):
            # The in-memory cluster tells nothing of the kind, and the client stumbles over it.
            return {}
        finally:
            await admin.close()
        return {
            name: {entry[0]: entry[1] for entry in entries}
            for answer in answers
            for code, _, _, name, entries in answer.resources
            if code == NO_ERROR
        }


@asynccontextmanager
async def reading(bootstrap_servers: str) -> AsyncIterator[Archive]:
    """Open the archive for the length of the block.

    Raises:
        Outage: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=int(ANSWER_SECONDS * 1000),
        # A fetch at the end of a partition is in the way of the next question.
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    try:
        with _outages():
            await start(consumer)
        yield Archive(bootstrap_servers, consumer)
    finally:
        await asyncio.shield(stop(consumer))


@contextmanager
def _outages() -> Iterator[None]:
    """Tell every failure of Kafka as an outage."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise Outage("kafka") from error


def _keeping(entries: Mapping[str, str | None]) -> Keeping:
    milliseconds = int(entries.get("retention.ms") or -1)
    return Keeping(
        seconds=None if milliseconds < 0 else milliseconds / 1000,
        by_age_only=entries.get("cleanup.policy") == "delete"
        and int(entries.get("retention.bytes") or -1) < 0,
    )
