"""Reads what stands in Kafka, from an offset to the end that there was when the reading began."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError

from govid.bus.errors import Outage
from govid.bus.kafka.batch_fetch import fetch_batch, has_leader
from govid.bus.kafka.cleanup import start, stop
from govid.bus.kafka.decompression import bound_aiokafka
from govid.bus.kafka.record_batches import DecodedBatch, UnreadableBatch

ANSWER_SECONDS = 10.0
POLL_MS = 1_000
POLL_RECORDS = 5_000
FETCH_WAIT_MS = 10
NO_ERROR = 0
FETCH_ATTEMPTS = 3
"""How often a batch is fetched before it counts as unreadable: it may be damaged on the way."""
MAX_UNREADABLE = 10
"""After so many unreadable batches the rest of a partition counts as unreadable, too.

A damaged batch does not always say where the next one begins, and then each offset costs a fetch.
"""


class Bounds(msgspec.Struct, frozen=True):
    """The oldest offset that Kafka still has of a partition, and the one after its newest."""

    first: int
    end: int


class Keeping(msgspec.Struct, frozen=True):
    """How a topic keeps its records: for how long, and whether only their age decides."""

    seconds: float | None
    by_age_only: bool


class UnreadableRecords(msgspec.Struct, frozen=True):
    """Offsets of a partition, before `next_offset`, that cannot be read; `reason` is one word."""

    topic: str
    partition: int
    first: int
    next_offset: int
    reason: str

    @property
    def place(self) -> str:
        """Return topic, partition and first offset as they are written everywhere."""
        return f"{self.topic}/{self.partition}/{self.first}"


class Archive:
    """The topics, read by nobody in particular: no group, no commit."""

    def __init__(self, bootstrap_servers: str, consumer: Any) -> None:
        """Read through *consumer*; use `reading`."""
        self._servers = bootstrap_servers
        self._consumer = consumer

    async def partitions(self) -> Mapping[str, int]:
        """Return how many partitions each topic has."""
        cluster = await self._metadata()
        counts = {name: len(cluster.partitions_for_topic(name) or ()) for name in cluster.topics()}
        return {name: count for name, count in counts.items() if count}

    async def leaderless(self) -> Collection[tuple[str, int]]:
        """Return the partitions that have no leader: nothing about them can be asked."""
        cluster = await self._metadata()
        places = [
            TopicPartition(name, number)
            for name in cluster.topics()
            for number in cluster.partitions_for_topic(name) or ()
        ]
        return {(one.topic, one.partition) for one in places if not has_leader(cluster, one)}

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Return what Kafka has of a partition."""
        place = TopicPartition(topic, partition)
        with _outages():
            first = await self._consumer.beginning_offsets([place])
            end = await self._consumer.end_offsets([place])
        return Bounds(first[place], end[place])

    async def all_bounds(self, topics: Sequence[str]) -> Mapping[tuple[str, int], Bounds | None]:
        """Return what Kafka has of every partition of *topics*; None where it does not answer.

        Each topic is asked by itself, and partitions without a leader are not asked: one of them
        would keep all answers away.
        """
        cluster = await self._metadata()
        places = {
            name: [TopicPartition(name, n) for n in cluster.partitions_for_topic(name) or ()]
            for name in topics
        }
        found = await asyncio.gather(
            *(
                self._bounds_of([one for one in of if has_leader(cluster, one)])
                for of in places.values()
            )
        )
        silent = {(one.topic, one.partition): None for of in places.values() for one in of}
        return {**silent, **{place: span for some in found for place, span in some.items()}}

    async def _metadata(self) -> ClusterMetadata:
        """Ask about all topics: the consumer itself asks for its own only."""
        with _outages():
            client = self._consumer._client  # noqa: SLF001 - there is no public way
            return await client.fetch_all_metadata()

    async def _bounds_of(
        self, places: Sequence[TopicPartition]
    ) -> Mapping[tuple[str, int], Bounds]:
        """Return what Kafka has of *places*; nothing if it does not answer."""
        if not places:
            return {}
        try:
            first = await self._consumer.beginning_offsets(places)
            end = await self._consumer.end_offsets(places)
        except (KafkaError, OSError):
            return {}
        return {(one.topic, one.partition): Bounds(first[one], end[one]) for one in places}

    async def offset_at(self, topic: str, partition: int, moment: datetime) -> int | None:
        """Return the offset of the first record from *moment* on; None if there is none."""
        place = TopicPartition(topic, partition)
        with _outages():
            found = await self._consumer.offsets_for_times({place: int(moment.timestamp() * 1000)})
        return found[place].offset if found.get(place) else None

    async def read(
        self,
        topic: str,
        partition: int,
        start: int,
        end: int,
        unreadable: list[UnreadableRecords],
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the records from offset *start* to before *end*, some at a time.

        Batches that cannot be read are left out and added to *unreadable*.

        Raises:
            Outage: Kafka stopped answering.
        """
        place = TopicPartition(topic, partition)
        self._consumer.assign([place])
        self._consumer.seek(place, start)
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        position, failures, by_hand = start, 0, False
        while position < end:
            try:
                records, position = await self._read_some(place, position, end, by_hand=by_hand)
                by_hand = False
            except UnreadableBatch as fault:
                failures, by_hand = failures + 1, True
                behind = end if failures == MAX_UNREADABLE else min(fault.next_offset, end)
                _add(
                    unreadable, UnreadableRecords(topic, partition, position, behind, fault.reason)
                )
                self._consumer.seek(place, behind)
                position, heard_at = behind, loop.time()
                continue
            records = [one for one in records if one.offset < end]
            if records:
                heard_at = loop.time()
                yield records
            elif loop.time() - heard_at > ANSWER_SECONDS:
                raise Outage("kafka")

    async def _read_some(
        self, place: TopicPartition, position: int, end: int, *, by_hand: bool
    ) -> tuple[Sequence[Any], int]:
        """Return what comes next from *position* on, and the position behind it."""
        if not by_hand:
            batches = await self._poll(place, end)
            behind = await self._consumer.position(place)
            if batches is not None and behind > position:
                return batches.get(place, ()), behind
            self._consumer.seek(place, position)
        batch = await self._fetch(place, position)
        if batch is None:
            return (), position
        self._consumer.seek(place, batch.next_offset)
        return batch.records, batch.next_offset

    async def _poll(self, place: TopicPartition, end: int) -> Any:
        """Return what aiokafka reads; None where it stumbles over a batch."""
        try:
            return await self._consumer.getmany(place, timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except TopicAuthorizationFailedError as error:
            raise UnreadableBatch(type(error).__name__, end) from error
        except Exception:  # noqa: BLE001 - codecs raise whatever they like, OSError included
            # A Kafka that is away is an outage of the fetch by hand, too.
            return None

    async def _fetch(self, place: TopicPartition, position: int) -> DecodedBatch | None:
        """Fetch the batch at *position* by hand, where aiokafka returns none."""
        client = self._consumer._client  # noqa: SLF001 - there is no public way to a raw batch
        try:
            for _ in range(FETCH_ATTEMPTS - 1):
                with suppress(UnreadableBatch):
                    return await fetch_batch(client, place, position)
            return await fetch_batch(client, place, position)
        except OffsetOutOfRangeError:
            # The next poll begins at what Kafka still has.
            return None
        except (KafkaError, OSError) as error:
            raise Outage("kafka") from error

    async def replicas(self, topics: Sequence[str]) -> Mapping[str, int]:
        """Return on how many brokers each of *topics* stands, at the partition that has fewest."""
        cluster = await self._metadata()
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
    bound_aiokafka()
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


def _add(found: list[UnreadableRecords], one: UnreadableRecords) -> None:
    """Add *one* to *found*; offsets that follow each other for one reason are one item."""
    last = found[-1] if found else None
    if last is not None and (last.topic, last.partition, last.next_offset, last.reason) == (
        one.topic,
        one.partition,
        one.first,
        one.reason,
    ):
        found[-1] = msgspec.structs.replace(last, next_offset=one.next_offset)
    else:
        found.append(one)


def _keeping(entries: Mapping[str, str | None]) -> Keeping:
    milliseconds = int(entries.get("retention.ms") or -1)
    return Keeping(
        seconds=None if milliseconds < 0 else milliseconds / 1000,
        by_age_only=entries.get("cleanup.policy") == "delete"
        and int(entries.get("retention.bytes") or -1) < 0,
    )
