"""Reads the inbound topics partition by partition, so that an unreadable one stops alone.

The reader keeps every position itself: aiokafka skips records that do not fit into a fetch, and
loses what it had drained from other partitions when one raises. A batch that cannot be read is
fetched again three times over five seconds, because it may have been damaged in transit. Then its
partition stops. An operator can skip the batch. It is also still fetched from time to time, because
it may become readable.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.abc import ConsumerRebalanceListener

from govid.bus.kafka.batch_decoding import DecodedBatch, UndecodableBatch, fetch_batch, has_leader
from govid.bus.kafka.inbound_faults import FaultKind, InboundFaults, InboxGaps
from govid.bus.storage.errors import error_class_name

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
POLL_RECORDS = 500
RETRY_SECONDS = (1.0, 2.0, 2.0)
"""Waits before a batch is fetched again; after the last one its partition stops."""
STOPPED_CHECK_SECONDS = 2.0
"""How often a stopped partition checks whether an operator has accepted to skip the batch."""
STOPPED_FETCH_EVERY = 5
"""A stopped batch is fetched again at every such number of checks."""
LAG_SECONDS = 5.0
LAG_TIMEOUT_SECONDS = 2.0
FAILING_ATTEMPTS = 2
"""Number of failures at one position from which on it is reported."""
NO_LEADER = "no-leader"
"""The reason while a partition has no leader."""

_LOST_POSITION = (errors.OffsetOutOfRangeError, errors.NoOffsetForPartitionError)
_BATCH_ERRORS = (
    errors.CorruptRecordException,
    errors.RecordTooLargeError,
    errors.UnsupportedCodecError,
    errors.TopicAuthorizationFailedError,
)
"""Kafka errors that concern one partition only."""


class FetchedRecords(NamedTuple):
    """Records of one partition in the order of their offsets, and the position after them."""

    records: Sequence[Any]
    next_offset: int


class PartitionFailure(msgspec.Struct, kw_only=True):
    """A position at which a partition fails. `retry_at` is the monotonic time of a retry."""

    offset: int
    next_offset: int
    kind: FaultKind
    reason: str
    attempts: int = 0
    retry_at: float = 0.0
    reported: bool = False

    @property
    def is_stopped(self) -> bool:
        """Whether the quick retries are used up, so that the partition has stopped."""
        return self.attempts > len(RETRY_SECONDS)


class PartitionReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Reads the partitions that the consumer group assigns to one consumer."""

    def __init__(self, consumer: AIOKafkaConsumer, faults: InboundFaults, gaps: InboxGaps) -> None:
        """Read through *consumer*, which must not reset positions itself.

        Stopped positions are stored in *faults*, records that Kafka removed unread in *gaps*.
        """
        self.failures: dict[TopicPartition, PartitionFailure] = {}
        self.lag: dict[TopicPartition, int] = {}
        """Number of unread records by partition, including those of open transactions."""
        self.held_back: dict[TopicPartition, int] = {}
        """Number of unread records behind an open transaction, by partition."""
        self._faults = faults
        self._gaps = gaps
        self._consumer = consumer
        self._positions: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._remainders: dict[TopicPartition, DecodedBatch] = {}
        """Remaining records of batches that were decoded without aiokafka."""
        self._reported: set[TopicPartition] = set()
        """Partitions with stored faults (of any replica) at or after their position."""
        self._advanced: set[TopicPartition] = set()
        self._measured_at = float("-inf")

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Drop all positions: another replica may advance them before a partition returns."""
        del revoked
        self._drop_revoked(())

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Do nothing: `fetch_records` finds the position of each new partition."""

    def get_position(self, partition: TopicPartition) -> int:
        """Return the offset of the next record that has not been processed."""
        return self._positions[partition]

    async def fetch_records(self) -> Mapping[TopicPartition, FetchedRecords]:
        """Return fetched records, up to `POLL_RECORDS` a partition; wait briefly if there are none.

        Raises:
            KafkaError: Kafka is unavailable, or the group has removed this consumer.
        """
        consumer = self._consumer
        if consumer._fetcher.error_future.done():  # noqa: SLF001 - no public access
            raise errors.KafkaError("the fetcher has ended")
        assigned = consumer.assignment()
        self._drop_revoked(assigned)
        found: dict[TopicPartition, FetchedRecords] = {}
        for partition in sorted(assigned):
            if partition not in self._positions:
                await self._find_position(partition)
            if partition not in self._positions:
                continue
            fetched = self._pop_remaining(partition) or await self._read_partition(partition)
            if fetched is not None:
                found[partition] = fetched
        if assigned and time.monotonic() - self._measured_at > LAG_SECONDS:
            found |= await self._measure_lag([one for one in sorted(assigned) if one not in found])
        if not found:
            await self._wait_for_fetch()
        return found

    def set_position(self, partition: TopicPartition, offset: int) -> None:
        """Set the position: everything before *offset* has been processed."""
        if partition in self._positions:
            self._positions[partition] = offset

    async def rewind(self, partition: TopicPartition, error: BaseException) -> None:
        """Record *error* at the position of *partition*, return to it and pause the partition."""
        offset = self._positions.get(partition)
        if offset is None or partition not in self._consumer.assignment():
            return
        self._consumer.seek(partition, offset)
        await self._record_failure(partition, "failing", error_class_name(error), offset + 1)

    async def commit_positions(self) -> None:
        """Commit the positions that have changed."""
        assigned = self._consumer.assignment()
        changed = {
            partition: position
            for partition, position in self._positions.items()
            if partition in assigned and self._committed.get(partition) != position
        }
        if changed:
            await self._consumer.commit(changed)
            self._committed |= changed
        for partition, position in changed.items():
            failure = self.failures.get(partition)
            if failure is not None and failure.offset < position:
                self._resume(partition)
            if partition in self._reported:
                await self._delete_passed_faults(partition, position)

    async def _read_partition(self, partition: TopicPartition) -> FetchedRecords | None:
        failure = self.failures.get(partition)
        if failure is not None:
            if time.monotonic() < failure.retry_at:
                return None
            if failure.reported and await self._skip_if_accepted(partition, failure):
                return None
            if failure.kind == "unreadable":
                return await self._retry(partition, failure)
            self._consumer.resume(partition)
        try:
            batches = await self._consumer.getmany(
                partition, timeout_ms=0, max_records=POLL_RECORDS
            )
        except _LOST_POSITION:
            await self._reset_position(partition)
            return None
        except _BATCH_ERRORS:
            return await self._fetch_directly(partition)
        except errors.KafkaError:
            raise
        except Exception:  # noqa: BLE001 - codecs and decoders raise arbitrary errors
            return await self._fetch_directly(partition)
        position = await self._consumer.position(partition)
        records = batches.get(partition, ())
        if not records:
            # Control records and aborted transactions yield no records, but move the position.
            self.set_position(partition, max(position, self._positions.get(partition, 0)))
            return None
        return FetchedRecords(records, position)

    async def _retry(
        self, partition: TopicPartition, failure: PartitionFailure
    ) -> FetchedRecords | None:
        if failure.is_stopped and failure.attempts % STOPPED_FETCH_EVERY:
            failure.attempts += 1
            failure.retry_at = time.monotonic() + STOPPED_CHECK_SECONDS
            return None
        return await self._fetch_directly(partition)

    async def _fetch_directly(self, partition: TopicPartition) -> FetchedRecords | None:
        """Fetch and decode the batch at the position of *partition* without aiokafka's decoder."""
        if partition not in self._positions or partition not in self._consumer.assignment():
            return None
        position = self._positions[partition]
        self._consumer.seek(partition, position)
        try:
            batch = await fetch_batch(
                self._consumer._client,  # noqa: SLF001 - there is no public way to a raw batch
                partition,
                position,
                committed=True,
            )
        except _LOST_POSITION:
            await self._reset_position(partition)
            return None
        except UndecodableBatch as fault:
            if self._positions.get(partition) != position:
                return None
            await self._record_failure(partition, "unreadable", fault.reason, fault.next_offset)
            return None
        # The partition may have been revoked and assigned again with another position.
        has_moved = self._positions.get(partition) != position
        if batch is None or has_moved or partition not in self._consumer.assignment():
            return None
        self._consumer.resume(partition)
        self._consumer.seek(partition, batch.next_offset)
        return self._split_batch(partition, batch)

    def _pop_remaining(self, partition: TopicPartition) -> FetchedRecords | None:
        """Return the next remaining records of a decoded batch.

        After a failure the remaining records are dropped, and the batch is fetched again.
        """
        rest = self._remainders.pop(partition, None)
        if rest is None or rest.records[0].offset != self._positions.get(partition):
            return None
        return self._split_batch(partition, rest)

    def _split_batch(self, partition: TopicPartition, batch: DecodedBatch) -> FetchedRecords:
        """Return the first records of *batch*, and keep the others for the next calls."""
        records, rest = batch.records[:POLL_RECORDS], batch.records[POLL_RECORDS:]
        if not rest:
            return FetchedRecords(records, batch.next_offset)
        self._remainders[partition] = DecodedBatch(rest, batch.next_offset)
        return FetchedRecords(records, rest[0].offset)

    async def _record_failure(
        self, partition: TopicPartition, kind: FaultKind, reason: str, next_offset: int
    ) -> None:
        """Count a failure at the position of *partition*, and pause the partition."""
        offset = self._positions[partition]
        failure = self.failures.get(partition)
        if failure is None or failure.offset != offset or failure.reason == NO_LEADER:
            failure = self.failures[partition] = PartitionFailure(
                offset=offset, next_offset=next_offset, kind=kind, reason=reason
            )
        was_stopped = failure.is_stopped
        failure.attempts += 1
        failure.kind, failure.reason, failure.next_offset = kind, reason, next_offset
        rest = STOPPED_CHECK_SECONDS if failure.is_stopped else RETRY_SECONDS[failure.attempts - 1]
        failure.retry_at = time.monotonic() + rest
        self._consumer.pause(partition)
        where = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
        if failure.attempts == 1:
            log.warning("inbox.position_failed", extra={**where, "kind": kind, "reason": reason})
        if failure.is_stopped and not was_stopped:
            log.error(
                "inbox.partition_stopped",
                extra={**where, "next_offset": next_offset, "kind": kind, "reason": reason},
            )
        if failure.is_stopped and not failure.reported:
            await self._faults.store_fault(partition.topic, partition.partition, failure)
            failure.reported = True
            self._reported.add(partition)

    async def _skip_if_accepted(self, partition: TopicPartition, failure: PartitionFailure) -> bool:
        """Skip the batch if an operator has accepted that; return whether it was skipped."""
        next_offset = await self._faults.fetch_accepted_end(
            partition.topic, partition.partition, failure.offset
        )
        if next_offset is None or partition not in self._consumer.assignment():
            return False
        log.warning(
            "inbox.batch_stepped_over",
            extra={
                "topic": partition.topic,
                "partition": partition.partition,
                "offset": failure.offset,
                "next_offset": next_offset,
            },
        )
        self._consumer.resume(partition)
        self._consumer.seek(partition, next_offset)
        self.set_position(partition, next_offset)
        return True

    def _resume(self, partition: TopicPartition) -> None:
        failure = self.failures.pop(partition)
        if failure.reported:
            log.info(
                "inbox.partition_resumed",
                extra={"topic": partition.topic, "partition": partition.partition},
            )

    async def _delete_passed_faults(self, partition: TopicPartition, position: int) -> None:
        """Delete the stored faults before *position*."""
        if await self._faults.delete_passed(partition.topic, partition.partition, position):
            self._reported.add(partition)
        else:
            self._reported.discard(partition)

    async def _find_position(self, partition: TopicPartition) -> None:
        """Start at the committed position of *partition*, or at its first record.

        Only a leader knows the first record: without one the partition waits for a later call.
        """
        committed = await self._consumer.committed(partition)
        if committed is None:
            if not self._has_leader(partition):
                return
            position = (await self._consumer.beginning_offsets([partition]))[partition]
            # The first round commits a position, so this is a new topic with the same name.
            await self._faults.delete_from(partition.topic, partition.partition, position)
        else:
            position = committed
        # A fault may have ended without this reader: by a restart, or on another replica.
        await self._delete_passed_faults(partition, position)
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, position)
            self._positions[partition] = position
            if committed is not None:
                self._committed[partition] = committed

    async def _reset_position(self, partition: TopicPartition) -> None:
        """Move to the first record of *partition* if its position is outside the range in Kafka."""
        first = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        before = self._positions.get(partition)
        if before is None or partition not in self._consumer.assignment():
            # A rebalance has dropped the position. If the partition returns, the committed one may
            # be before the first record, and only then is the gap known.
            return
        position = before if first <= before <= end else first
        if position != before:
            log.warning(
                "inbox.position_reset",
                extra={
                    "topic": partition.topic,
                    "partition": partition.partition,
                    "offset": before,
                    "next_offset": position,
                },
            )
        if position > before:
            # Stored before any record after the gap is read, so that the loss is never missed.
            await self._gaps.record_gap(partition.topic, partition.partition, before, position)
        if position < before:
            # Decisions about these offsets concerned other records.
            await self._faults.delete_from(partition.topic, partition.partition, position)
            self.failures.pop(partition, None)
            self._consumer.resume(partition)
        self._consumer.seek(partition, position)
        self._positions[partition] = position

    async def _measure_lag(
        self, idle: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, FetchedRecords]:
        """Measure the lag, and fetch directly from *idle* partitions that should have records.

        aiokafka hides some refusals of a broker.
        """
        consumer, assigned = self._consumer, sorted(self._positions)
        self._measured_at = time.monotonic()
        with_leader = [one for one in assigned if self._has_leader(one)]
        # Asked per topic, so that one topic without an answer does not hide the other.
        topics = sorted({one.topic for one in with_leader})
        answers = await asyncio.gather(
            *(
                self._fetch_end_offsets([one for one in with_leader if one.topic == topic])
                for topic in topics
            )
        )
        ends = {partition: end for answer in answers for partition, end in answer.items()}
        for partition in sorted(consumer.assignment()):
            self._record_leader(partition)
        if any(failure.reason == NO_LEADER for failure in self.failures.values()):
            # Not awaited: a later call will see the new leader.
            consumer._client.force_metadata_update()  # noqa: SLF001 - no public access
        readable = {one: end for one, end in ends.items() if one in self._positions}
        high = {one: max(consumer.highwater(one) or 0, end) for one, end in readable.items()}
        self.lag |= {one: max(0, end - self._positions[one]) for one, end in high.items()}
        self.held_back |= {one: high[one] - end for one, end in readable.items()}
        still = [
            one
            for one in idle
            if one not in self.failures
            and self._positions.get(one, 0) < readable.get(one, 0)
            and one not in self._advanced
        ]
        self._advanced = set(assigned) - set(idle)
        found = {one: await self._fetch_directly(one) for one in still}
        return {one: fetched for one, fetched in found.items() if fetched is not None}

    async def _fetch_end_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Return the end offsets of *partitions*; empty if Kafka does not answer."""
        try:
            async with asyncio.timeout(LAG_TIMEOUT_SECONDS):
                ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        except (errors.KafkaError, TimeoutError):
            return {}
        return ends

    def _has_leader(self, partition: TopicPartition) -> bool:
        return has_leader(self._consumer._client.cluster, partition)  # noqa: SLF001 - not public

    def _record_leader(self, partition: TopicPartition) -> None:
        """Record that *partition* has lost its leader, or has one again.

        No fault is stored: the state ends by itself, and there is nothing to skip.
        """
        failure = self.failures.get(partition)
        if failure is not None and failure.reason != NO_LEADER:
            return
        offset = self._positions.get(partition, 0)
        where = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
        if self._has_leader(partition):
            if failure is not None:
                del self.failures[partition]
                log.info("inbox.leader_found", extra=where)
            return
        if failure is None:
            failure = self.failures[partition] = PartitionFailure(
                offset=offset, next_offset=offset + 1, kind="failing", reason=NO_LEADER
            )
        failure.attempts += 1
        if failure.attempts == FAILING_ATTEMPTS:
            log.warning("inbox.leader_missing", extra=where)

    async def _wait_for_fetch(self) -> None:
        """Wait until something has been fetched, without consuming it."""
        waiter = self._consumer._fetcher._create_fetch_waiter()  # noqa: SLF001
        try:
            await asyncio.wait([waiter], timeout=POLL_SECONDS)
        finally:
            waiter.cancel()

    def _drop_revoked(self, assigned: Sequence[TopicPartition] | set[TopicPartition]) -> None:
        """Drop the state of all partitions that are not in *assigned*."""
        tables: tuple[dict[TopicPartition, Any], ...] = (
            self.failures, self.lag, self.held_back,
            self._positions, self._committed, self._remainders,
        )  # fmt: skip
        for table in tables:
            for partition in table.keys() - set(assigned):
                del table[partition]
        self._reported &= set(assigned)
