"""Reads the inbound topics partition by partition, so that one that cannot be read stops alone.

The reader decides every position itself: aiokafka steps over records that do not fit into a fetch,
and forgets what it had drained of other partitions when one raises. A batch that cannot be read is
fetched again three times over five seconds, because it may have been damaged in transit. After that
its partition stops. An operator can step over the batch, and it may heal: it is still fetched now
and then.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.abc import ConsumerRebalanceListener

from govid.bus.kafka.batch_fetch import fetch_batch, has_leader
from govid.bus.kafka.inbound_faults import FaultKind, InboundFaults
from govid.bus.kafka.inbox_gaps import InboxGaps
from govid.bus.kafka.record_batches import DecodedBatch, UnreadableBatch
from govid.bus.storage.errors import error_class

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
POLL_RECORDS = 500
RETRY_SECONDS = (1.0, 2.0, 2.0)
"""The waits before a batch is fetched again, until its partition stops."""
STOPPED_SECONDS = 2.0
"""How often a stopped partition asks whether an operator has accepted a step over the batch."""
HEAL_ATTEMPTS = 5
"""Every so many of these the batch is fetched once more."""
LAG_SECONDS = 5.0
LAG_TIMEOUT_SECONDS = 2.0
FAILING_ATTEMPTS = 2
"""From so many failures at one position on it is reported."""
NO_LEADER = "no-leader"
"""The reason of a trouble that lasts as long as a partition has no leader."""

_LOST_POSITION = (errors.OffsetOutOfRangeError, errors.NoOffsetForPartitionError)
_BATCH_ERRORS = (
    errors.CorruptRecordException,
    errors.RecordTooLargeError,
    errors.UnsupportedCodecError,
    errors.TopicAuthorizationFailedError,
)
"""Errors of Kafka that concern one partition only."""


class FetchedRecords(NamedTuple):
    """Records of one partition in the order of their offsets, and the position behind them."""

    records: Sequence[Any]
    next_offset: int


class PartitionTrouble(msgspec.Struct, kw_only=True):
    """A position at which a partition does not get on."""

    offset: int
    next_offset: int
    kind: FaultKind
    reason: str
    attempts: int = 0
    due: float = 0.0
    reported: bool = False

    @property
    def is_stopped(self) -> bool:
        """Whether the reader has given up on the batch for now."""
        return self.attempts > len(RETRY_SECONDS)


class PartitionReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Reads the partitions that the consumer group assigns to one consumer."""

    def __init__(self, consumer: AIOKafkaConsumer, faults: InboundFaults, gaps: InboxGaps) -> None:
        """Read through *consumer*, which must not reset positions.

        Stops are reported to *faults*, records that Kafka removed before they were read to *gaps*.
        """
        self.troubles: dict[TopicPartition, PartitionTrouble] = {}
        self.lag: dict[TopicPartition, int] = {}
        """How many records are left behind each position, open transactions included."""
        self.held_back: dict[TopicPartition, int] = {}
        """How many of them an open transaction keeps from being read."""
        self._faults = faults
        self._gaps = gaps
        self._consumer = consumer
        self._positions: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._rests: dict[TopicPartition, DecodedBatch] = {}
        """What is left of batches that were decoded by hand."""
        self._reported: set[TopicPartition] = set()
        """Partitions with rows of faults at their position or behind it, of any replica."""
        self._moved: set[TopicPartition] = set()
        self._measured_at = float("-inf")

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Forget positions: another replica may go on from here, and come back with others."""
        del revoked
        self._forget(())

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Do nothing: `read` looks each new partition up."""

    def position(self, partition: TopicPartition) -> int:
        """Return the offset of the next record that has not been dealt with."""
        return self._positions[partition]

    async def read(self) -> Mapping[TopicPartition, FetchedRecords]:
        """Return what has arrived, at most `POLL_RECORDS` a partition; wait a moment for it.

        Raises:
            KafkaError: Kafka is away, or the group takes this consumer out.
        """
        consumer = self._consumer
        if consumer._fetcher.error_future.done():  # noqa: SLF001 - nothing public tells it
            raise errors.KafkaError("the fetcher has ended")
        mine = consumer.assignment()
        self._forget(mine)
        found: dict[TopicPartition, FetchedRecords] = {}
        for partition in sorted(mine):
            if partition not in self._positions:
                await self._locate(partition)
            if partition not in self._positions:
                continue
            fetched = self._next_portion(partition) or await self._read(partition)
            if fetched is not None:
                found[partition] = fetched
        if mine and time.monotonic() - self._measured_at > LAG_SECONDS:
            found |= await self._measure([one for one in sorted(mine) if one not in found])
        if not found:
            await self._wait()
        return found

    def advance(self, partition: TopicPartition, offset: int) -> None:
        """Note that everything before *offset* has been dealt with."""
        if partition in self._positions:
            self._positions[partition] = offset

    async def fail(self, partition: TopicPartition, error: BaseException) -> None:
        """Go back to the position of *partition*, which raised *error*, and wait before it."""
        offset = self._positions.get(partition)
        if offset is None or partition not in self._consumer.assignment():
            return
        self._consumer.seek(partition, offset)
        await self._note(partition, "failing", error_class(error), offset + 1)

    async def commit(self) -> None:
        """Commit the positions that have changed."""
        mine = self._consumer.assignment()
        changed = {
            partition: position
            for partition, position in self._positions.items()
            if partition in mine and self._committed.get(partition) != position
        }
        if changed:
            await self._consumer.commit(changed)
            self._committed |= changed
        for partition, position in changed.items():
            trouble = self.troubles.get(partition)
            if trouble is not None and trouble.offset < position:
                self._resume(partition)
            if partition in self._reported:
                await self._settle(partition, position)

    async def _read(self, partition: TopicPartition) -> FetchedRecords | None:
        trouble = self.troubles.get(partition)
        if trouble is not None:
            if time.monotonic() < trouble.due:
                return None
            if trouble.reported and await self._step_over(partition, trouble):
                return None
            if trouble.kind == "unreadable":
                return await self._read_again(partition, trouble)
            self._consumer.resume(partition)
        try:
            batches = await self._consumer.getmany(
                partition, timeout_ms=0, max_records=POLL_RECORDS
            )
        except _LOST_POSITION:
            await self._reset(partition)
            return None
        except _BATCH_ERRORS:
            return await self._examine(partition)
        except errors.KafkaError:
            raise
        except Exception:  # noqa: BLE001 - codecs and decoders raise whatever they like
            return await self._examine(partition)
        position = await self._consumer.position(partition)
        records = batches.get(partition, ())
        if not records:
            # Control records and aborted transactions are no records, but they are behind us.
            self.advance(partition, max(position, self._positions.get(partition, 0)))
            return None
        return FetchedRecords(records, position)

    async def _read_again(
        self, partition: TopicPartition, trouble: PartitionTrouble
    ) -> FetchedRecords | None:
        if trouble.is_stopped and trouble.attempts % HEAL_ATTEMPTS:
            trouble.attempts += 1
            trouble.due = time.monotonic() + STOPPED_SECONDS
            return None
        return await self._examine(partition)

    async def _examine(self, partition: TopicPartition) -> FetchedRecords | None:
        """Fetch the batch at the position of *partition*, and find out what is wrong with it."""
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
            await self._reset(partition)
            return None
        except UnreadableBatch as fault:
            if self._positions.get(partition) != position:
                return None
            await self._note(partition, "unreadable", fault.reason, fault.next_offset)
            return None
        # The partition may have gone, and come back with another position.
        has_moved = self._positions.get(partition) != position
        if batch is None or has_moved or partition not in self._consumer.assignment():
            return None
        self._consumer.resume(partition)
        self._consumer.seek(partition, batch.next_offset)
        return self._portion(partition, batch)

    def _next_portion(self, partition: TopicPartition) -> FetchedRecords | None:
        """Return the next records of a batch of which some are left.

        After a failure reading does not go on with them, and the batch is fetched anew.
        """
        rest = self._rests.pop(partition, None)
        if rest is None or rest.records[0].offset != self._positions.get(partition):
            return None
        return self._portion(partition, rest)

    def _portion(self, partition: TopicPartition, batch: DecodedBatch) -> FetchedRecords:
        """Return the first records of *batch*, and keep the others for the next turns."""
        records, rest = batch.records[:POLL_RECORDS], batch.records[POLL_RECORDS:]
        if not rest:
            return FetchedRecords(records, batch.next_offset)
        self._rests[partition] = DecodedBatch(rest, batch.next_offset)
        return FetchedRecords(records, rest[0].offset)

    async def _note(
        self, partition: TopicPartition, kind: FaultKind, reason: str, next_offset: int
    ) -> None:
        """Count a failure at the position of *partition*, and let it rest for a while."""
        offset = self._positions[partition]
        trouble = self.troubles.get(partition)
        if trouble is None or trouble.offset != offset or trouble.reason == NO_LEADER:
            trouble = self.troubles[partition] = PartitionTrouble(
                offset=offset, next_offset=next_offset, kind=kind, reason=reason
            )
        was_stopped = trouble.is_stopped
        trouble.attempts += 1
        trouble.kind, trouble.reason, trouble.next_offset = kind, reason, next_offset
        rest = STOPPED_SECONDS if trouble.is_stopped else RETRY_SECONDS[trouble.attempts - 1]
        trouble.due = time.monotonic() + rest
        self._consumer.pause(partition)
        place = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
        if trouble.attempts == 1:
            log.warning("inbox.position_failed", extra={**place, "kind": kind, "reason": reason})
        if trouble.is_stopped and not was_stopped:
            log.error(
                "inbox.partition_stopped",
                extra={**place, "next_offset": next_offset, "kind": kind, "reason": reason},
            )
        if trouble.is_stopped and not trouble.reported:
            await self._faults.report(partition.topic, partition.partition, trouble)
            trouble.reported = True
            self._reported.add(partition)

    async def _step_over(self, partition: TopicPartition, trouble: PartitionTrouble) -> bool:
        """Pass the batch if an operator has accepted that; tell whether one has."""
        behind = await self._faults.accepted(partition.topic, partition.partition, trouble.offset)
        if behind is None or partition not in self._consumer.assignment():
            return False
        log.warning(
            "inbox.batch_stepped_over",
            extra={
                "topic": partition.topic,
                "partition": partition.partition,
                "offset": trouble.offset,
                "next_offset": behind,
            },
        )
        self._consumer.resume(partition)
        self._consumer.seek(partition, behind)
        self.advance(partition, behind)
        return True

    def _resume(self, partition: TopicPartition) -> None:
        trouble = self.troubles.pop(partition)
        if trouble.reported:
            log.info(
                "inbox.partition_resumed",
                extra={"topic": partition.topic, "partition": partition.partition},
            )

    async def _settle(self, partition: TopicPartition, position: int) -> None:
        """Delete the rows of faults that *position* has passed."""
        if await self._faults.settle(partition.topic, partition.partition, position):
            self._reported.add(partition)
        else:
            self._reported.discard(partition)

    async def _locate(self, partition: TopicPartition) -> None:
        """Begin at the committed position of *partition*, or at its first record.

        Only a leader knows the first record: without one the partition is left for a later turn.
        """
        committed = await self._consumer.committed(partition)
        if committed is None:
            if not self._is_led(partition):
                return
            position = (await self._consumer.beginning_offsets([partition]))[partition]
            # The first round commits a position, so this is another topic of the same name.
            await self._faults.withdraw(partition.topic, partition.partition, position)
        else:
            position = committed
        # Faults end in other ways than by this reader: with a restart, or at another replica.
        await self._settle(partition, position)
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, position)
            self._positions[partition] = position
            if committed is not None:
                self._committed[partition] = committed

    async def _reset(self, partition: TopicPartition) -> None:
        """Begin at the first record of *partition* if its position is outside what Kafka has."""
        first = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        before = self._positions.get(partition, first)
        position = before if first <= before <= end else first
        if partition not in self._consumer.assignment():
            return
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
            # Before anything behind the gap is read: what was lost is known, whatever comes next.
            await self._gaps.record(partition.topic, partition.partition, before, position)
        if position < before:
            # What was decided about these offsets was about other records.
            await self._faults.withdraw(partition.topic, partition.partition, position)
            self.troubles.pop(partition, None)
            self._consumer.resume(partition)
        self._consumer.seek(partition, position)
        self._positions[partition] = position

    async def _measure(
        self, idle: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, FetchedRecords]:
        """Measure the lag, and read *idle* partitions by hand that should have something.

        aiokafka keeps some refusals of a broker to itself.
        """
        consumer, mine = self._consumer, sorted(self._positions)
        self._measured_at = time.monotonic()
        led = [one for one in mine if self._is_led(one)]
        # One topic that Kafka tells nothing of must not hide what it tells of the other.
        topics = sorted({one.topic for one in led})
        answers = await asyncio.gather(
            *(self._ends([one for one in led if one.topic == topic]) for topic in topics)
        )
        ends = {partition: end for answer in answers for partition, end in answer.items()}
        for partition in sorted(consumer.assignment()):
            self._note_leader(partition)
        if any(trouble.reason == NO_LEADER for trouble in self.troubles.values()):
            # Not awaited: it is enough if the next turns see a new leader.
            consumer._client.force_metadata_update()  # noqa: SLF001 - nothing public does it
        readable = {one: end for one, end in ends.items() if one in self._positions}
        high = {one: max(consumer.highwater(one) or 0, end) for one, end in readable.items()}
        self.lag |= {one: max(0, end - self._positions[one]) for one, end in high.items()}
        self.held_back |= {one: high[one] - end for one, end in readable.items()}
        still = [
            one
            for one in idle
            if one not in self.troubles
            and self._positions.get(one, 0) < readable.get(one, 0)
            and one not in self._moved
        ]
        self._moved = set(mine) - set(idle)
        found = {one: await self._examine(one) for one in still}
        return {one: fetched for one, fetched in found.items() if fetched is not None}

    async def _ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return where *partitions* end; nothing if Kafka does not tell."""
        try:
            async with asyncio.timeout(LAG_TIMEOUT_SECONDS):
                ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        except (errors.KafkaError, TimeoutError):
            return {}
        return ends

    def _is_led(self, partition: TopicPartition) -> bool:
        return has_leader(self._consumer._client.cluster, partition)  # noqa: SLF001 - not public

    def _note_leader(self, partition: TopicPartition) -> None:
        """Note that *partition* has no leader, or has one again.

        There is no row: it ends by itself, and an operator has nothing to step over.
        """
        trouble = self.troubles.get(partition)
        if trouble is not None and trouble.reason != NO_LEADER:
            return
        offset = self._positions.get(partition, 0)
        place = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
        if self._is_led(partition):
            if trouble is not None:
                del self.troubles[partition]
                log.info("inbox.leader_found", extra=place)
            return
        if trouble is None:
            trouble = self.troubles[partition] = PartitionTrouble(
                offset=offset, next_offset=offset + 1, kind="failing", reason=NO_LEADER
            )
        trouble.attempts += 1
        if trouble.attempts == FAILING_ATTEMPTS:
            log.warning("inbox.leader_missing", extra=place)

    async def _wait(self) -> None:
        """Wait until something has been fetched, without taking it."""
        waiter = self._consumer._fetcher._create_fetch_waiter()  # noqa: SLF001
        try:
            await asyncio.wait([waiter], timeout=POLL_SECONDS)
        finally:
            waiter.cancel()

    def _forget(self, mine: Sequence[TopicPartition] | set[TopicPartition]) -> None:
        """Keep what is known of the partitions in *mine* only."""
        tables: tuple[dict[TopicPartition, Any], ...] = (
            self.troubles, self.lag, self.held_back, self._positions, self._committed, self._rests,
        )  # fmt: skip
        for table in tables:
            for partition in table.keys() - set(mine):
                del table[partition]
        self._reported &= set(mine)
