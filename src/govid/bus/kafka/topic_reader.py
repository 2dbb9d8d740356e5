"""Reads topics for audits and checks: a bounded range of offsets, metadata and settings.

Reading uses no consumer group and commits nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError

from govid.bus.kafka.batch_decoding import (
    DecodedBatch,
    UndecodableBatch,
    fetch_batch,
    has_leader,
    limit_aiokafka_decompression,
)
from govid.bus.kafka.client_lifecycle import (
    CLIENT_ERRORS,
    start_client,
    stop_client,
    translate_client_errors,
)
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.shared.errors import Outage

ANSWER_SECONDS = 10.0
POLL_MS = 1_000
POLL_RECORDS = 5_000
FETCH_WAIT_MS = 10
NO_ERROR = 0
FETCH_ATTEMPTS = 3
"""Number of fetches before a batch counts as unreadable: it may be damaged in transit."""
MAX_UNREADABLE = 10
"""After this number of unreadable batches the rest of a partition counts as unreadable, too.

A damaged batch does not always tell where the next one begins, and then each offset costs a fetch.
"""


class OffsetRange(msgspec.Struct, frozen=True):
    """The first offset of a partition in Kafka, and the offset after its newest record."""

    first: int
    end: int


class TopicRetention(msgspec.Struct, frozen=True):
    """How long a topic keeps records (None: forever), and whether only age removes them."""

    seconds: float | None
    by_age_only: bool


class UnreadableRange(msgspec.Struct, frozen=True):
    """Unreadable offsets of a partition, from `first` to before `next_offset`.

    `reason` is one word.
    """

    topic: str
    partition: int
    first: int
    next_offset: int
    reason: str

    @property
    def location(self) -> str:
        """Return topic, partition and first offset as `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.first}"


class TopicReader:
    """Reads topics without a consumer group and without commits."""

    def __init__(self, clients: KafkaClientFactory, consumer: Any) -> None:
        """Read through *consumer*; use `open_reader` to get a reader."""
        self._clients = clients
        self._consumer = consumer

    async def fetch_partition_counts(self) -> Mapping[str, int]:
        """Return the number of partitions by topic."""
        cluster = await self._fetch_metadata()
        counts = {name: len(cluster.partitions_for_topic(name) or ()) for name in cluster.topics()}
        return {name: count for name, count in counts.items() if count}

    async def fetch_leaderless(self) -> Collection[tuple[str, int]]:
        """Return the partitions that have no leader, so that Kafka cannot answer for them."""
        cluster = await self._fetch_metadata()
        places = [
            TopicPartition(name, number)
            for name in cluster.topics()
            for number in cluster.partitions_for_topic(name) or ()
        ]
        return {(one.topic, one.partition) for one in places if not has_leader(cluster, one)}

    async def fetch_range(self, topic: str, partition: int) -> OffsetRange:
        """Return the range of offsets that Kafka has of a partition."""
        partition_key = TopicPartition(topic, partition)
        with translate_client_errors():
            first = await self._consumer.beginning_offsets([partition_key])
            end = await self._consumer.end_offsets([partition_key])
        return OffsetRange(first[partition_key], end[partition_key])

    async def fetch_ranges(
        self, topics: Sequence[str]
    ) -> Mapping[tuple[str, int], OffsetRange | None]:
        """Return the offsets of every partition of *topics*; None for those without an answer.

        Each topic is requested separately, and partitions without a leader are left out: one of
        them would prevent all answers.
        """
        cluster = await self._fetch_metadata()
        places = {
            name: [TopicPartition(name, n) for n in cluster.partitions_for_topic(name) or ()]
            for name in topics
        }
        found = await asyncio.gather(
            *(
                self._fetch_offsets([one for one in of if has_leader(cluster, one)])
                for of in places.values()
            )
        )
        silent = {(one.topic, one.partition): None for of in places.values() for one in of}
        return {
            **silent,
            **{partition_key: span for some in found for partition_key, span in some.items()},
        }

    async def _fetch_metadata(self) -> ClusterMetadata:
        """Fetch the metadata of all topics; the consumer itself requests its own only."""
        with translate_client_errors():
            client = self._consumer._client  # noqa: SLF001 - there is no public way
            return await client.fetch_all_metadata()

    async def _fetch_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[tuple[str, int], OffsetRange]:
        """Return the offsets of *partitions*; empty if Kafka does not answer."""
        if not partitions:
            return {}
        try:
            first = await self._consumer.beginning_offsets(partitions)
            end = await self._consumer.end_offsets(partitions)
        except CLIENT_ERRORS:
            return {}
        return {(one.topic, one.partition): OffsetRange(first[one], end[one]) for one in partitions}

    async def find_offset(self, topic: str, partition: int, moment: datetime) -> int | None:
        """Return the offset of the first record from *moment* on; None if there is none."""
        partition_key = TopicPartition(topic, partition)
        with translate_client_errors():
            found = await self._consumer.offsets_for_times(
                {partition_key: int(moment.timestamp() * 1000)}
            )
        return found[partition_key].offset if found.get(partition_key) else None

    async def read_range(
        self,
        topic: str,
        partition: int,
        start: int,
        end: int,
        unreadable: list[UnreadableRange],
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the records from offset *start* to before *end* in batches.

        Unreadable batches are left out and added to *unreadable*.

        Raises:
            Outage: Kafka stopped answering.
        """
        partition_key = TopicPartition(topic, partition)
        self._consumer.assign([partition_key])
        self._consumer.seek(partition_key, start)
        loop = asyncio.get_running_loop()
        answered_at = loop.time()
        position, failures, directly = start, 0, False
        while position < end:
            try:
                records, position = await self._read_next(
                    partition_key, position, end, directly=directly
                )
                directly = False
            except UndecodableBatch as fault:
                failures, directly = failures + 1, True
                next_position = end if failures == MAX_UNREADABLE else min(fault.next_offset, end)
                _add_unreadable(
                    unreadable,
                    UnreadableRange(topic, partition, position, next_position, fault.reason),
                )
                self._consumer.seek(partition_key, next_position)
                position, answered_at = next_position, loop.time()
                continue
            records = [one for one in records if one.offset < end]
            if records:
                answered_at = loop.time()
                yield records
            elif loop.time() - answered_at > ANSWER_SECONDS:
                raise Outage("kafka")

    async def _read_next(
        self, partition_key: TopicPartition, position: int, end: int, *, directly: bool
    ) -> tuple[Sequence[Any], int]:
        """Return the next records from *position* on, and the position after them."""
        if not directly:
            batches = await self._poll(partition_key, end)
            next_position = await self._consumer.position(partition_key)
            if batches is not None and next_position > position:
                return batches.get(partition_key, ()), next_position
            self._consumer.seek(partition_key, position)
        batch = await self._fetch_directly(partition_key, position)
        if batch is None:
            return (), position
        self._consumer.seek(partition_key, batch.next_offset)
        return batch.records, batch.next_offset

    async def _poll(self, partition_key: TopicPartition, end: int) -> Any:
        """Return what aiokafka reads; None if it fails to decode a batch."""
        try:
            return await self._consumer.getmany(
                partition_key, timeout_ms=POLL_MS, max_records=POLL_RECORDS
            )
        except TopicAuthorizationFailedError as error:
            raise UndecodableBatch(type(error).__name__, end) from error
        except Exception:  # noqa: BLE001 - codecs raise arbitrary errors, OSError included
            # If Kafka is unavailable, the direct fetch raises the outage.
            return None

    async def _fetch_directly(
        self, partition_key: TopicPartition, position: int
    ) -> DecodedBatch | None:
        """Fetch and decode the batch at *position* without aiokafka's decoder."""
        client = self._consumer._client  # noqa: SLF001 - there is no public way to a raw batch
        with translate_client_errors():
            try:
                for _ in range(FETCH_ATTEMPTS - 1):
                    with suppress(UndecodableBatch):
                        return await fetch_batch(client, partition_key, position)
                return await fetch_batch(client, partition_key, position)
            except OffsetOutOfRangeError:
                # The next poll starts at the first offset that Kafka still has.
                return None

    async def fetch_replica_counts(self, topics: Sequence[str]) -> Mapping[str, int]:
        """Return the smallest replication factor of the partitions of each of *topics*."""
        cluster = await self._fetch_metadata()
        partitions = cluster._partitions  # noqa: SLF001 - there is no public way
        return {
            name: min(len(one.replicas) for one in partitions[name].values())
            for name in topics
            if partitions.get(name)
        }

    async def fetch_retention(self, topics: Sequence[str]) -> Mapping[str, TopicRetention]:
        """Return the retention of those of *topics* that Kafka describes."""
        return {
            name: _parse_retention(entries)
            for name, entries in (await self.fetch_configuration(topics)).items()
        }

    async def fetch_configuration(
        self, topics: Sequence[str]
    ) -> Mapping[str, Mapping[str, str | None]]:
        """Return the broker settings of those of *topics* that Kafka describes."""
        admin = self._clients.create_admin()
        try:
            await start_client(admin)
            answers = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
            )
        except (*CLIENT_ERRORS, AttributeError):
            # The in-memory cluster has no such answer, and the client raises AttributeError.
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
async def open_reader(clients: KafkaClientFactory) -> AsyncIterator[TopicReader]:
    """Open a reader for the duration of the block.

    Raises:
        Outage: Kafka does not answer.
    """
    limit_aiokafka_decompression()
    consumer = clients.create_consumer(
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=int(ANSWER_SECONDS * 1000),
        # A waiting fetch at the end of a partition would delay the next request.
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    try:
        with translate_client_errors():
            await start_client(consumer)
        yield TopicReader(clients, consumer)
    finally:
        await asyncio.shield(stop_client(consumer))


def _add_unreadable(ranges: list[UnreadableRange], unreadable_range: UnreadableRange) -> None:
    """Add *unreadable_range* to *ranges*; join it to the last one if it continues that one."""
    last = ranges[-1] if ranges else None
    if last is not None and (last.topic, last.partition, last.next_offset, last.reason) == (
        unreadable_range.topic,
        unreadable_range.partition,
        unreadable_range.first,
        unreadable_range.reason,
    ):
        ranges[-1] = msgspec.structs.replace(last, next_offset=unreadable_range.next_offset)
    else:
        ranges.append(unreadable_range)


def _parse_retention(entries: Mapping[str, str | None]) -> TopicRetention:
    milliseconds = int(entries.get("retention.ms") or -1)
    return TopicRetention(
        seconds=None if milliseconds < 0 else milliseconds / 1000,
        by_age_only=entries.get("cleanup.policy") == "delete"
        and int(entries.get("retention.bytes") or -1) < 0,
    )
