"""Audits the receipts of the relay: Kafka must hold each event at the offset of its receipt.

Each partition is read once, from the beginning of the range to its end. Records of govid without a
receipt are looked up in the database: a record with an unknown event is a finding, too.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus.events import Topic
from govid.bus.kafka.inbound_faults import QUERIES as GAP_QUERIES
from govid.bus.kafka.kafka_ahead import QUERIES as AHEAD_QUERIES
from govid.bus.kafka.topic_reader import OffsetRange, TopicReader, TopicRetention, UnreadableRange
from govid.bus.kafka.topics import QUERIES as TOPIC_QUERIES
from govid.bus.kafka.topics import ordered_topics
from govid.bus.operations.audit_findings import (
    AuditFinding,
    foreign_producer,
    inbound_removed,
    partition_silent,
    partitions_changed,
    record_differs,
    record_missing,
    record_unreadable,
    topic_missing,
)
from govid.bus.operations.receipt_matching import (
    ReceiptClaim,
    ReceiptMatcher,
    ReceiptMismatch,
    UnknownRecords,
)
from govid.bus.operations.verify_outbox import AuditRange
from govid.bus.settings import BusSettings
from govid.bus.shared.ids import uuid7_timestamp
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.operations", "verify_kafka.sql")
UNAUDITED_TOPICS = (Topic.ACTIVITY, Topic.ACCESS)
"""Topics with records that were never in the outbox, so that an unknown id is no finding."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
"""By how much the timestamp of a record may precede that of its event."""


class KafkaAuditResult(msgspec.Struct, kw_only=True):
    """Number of receipts by result. Receipts that are not proved are not necessarily wrong.

    `proved`: the record is at its offset. `expired`: Kafka removed the record by its retention.
    `forgotten`: the record was in an in-memory broker that was restarted. `unplaced`: Kafka did
    not return the offset, and the record was not found. `unreadable`: the record is in an
    unreadable batch. `inbound_removed`: foreign records that Kafka removed unread, without an
    acceptance by an operator. `ahead_since`: time of the first event that Kafka holds and that is
    missing in the database.
    """

    proved: int = 0
    expired: int = 0
    forgotten: int = 0
    unplaced: int = 0
    unreadable: int = 0
    inbound_removed: int = 0
    records_read: int = 0
    ahead_since: datetime | None = None


class AuditedPartition(NamedTuple):
    """A partition to read; `whole` if all records of govid in it were in the outbox."""

    topic: str
    partition: int
    whole: bool

    def __str__(self) -> str:
        """Return `topic/partition`."""
        return f"{self.topic}/{self.partition}"


class LostRecords(msgspec.Struct):
    """Lost records of one topic: their number and the position of the first."""

    missing: tuple[str, UUID] | None = None
    missing_count: int = 0
    differing: tuple[str, UUID, UUID | None] | None = None
    differing_count: int = 0

    def build_findings(self) -> list[AuditFinding]:
        """Return one finding for missing and one for differing records."""
        found = []
        if self.missing is not None:
            found.append(record_missing(*self.missing, more=self.missing_count - 1))
        if self.differing is not None:
            found.append(record_differs(*self.differing, more=self.differing_count - 1))
        return found


def _is_missing(
    receipt: ReceiptClaim, bounds: OffsetRange, retention: TopicRetention | None
) -> bool:
    """Return whether Kafka should still have the record, according to the topic's retention."""
    if retention is None or not retention.by_age_only:
        return receipt.offset >= bounds.first
    age = (datetime.now(UTC) - receipt.handled_at).total_seconds()
    is_young = retention.seconds is None or age < retention.seconds
    return is_young or bounds.first <= receipt.offset < bounds.end


def _is_within(offset: int, unreadable: Sequence[UnreadableRange]) -> bool:
    return any(one.first <= offset < one.next_offset for one in unreadable)


class KafkaAudit:
    """Audits the receipts of a range of events against Kafka."""

    def __init__(
        self,
        settings: BusSettings,
        connection: Any,
        reader: TopicReader,
        range_: AuditRange,
        *,
        broker_started_at: datetime | None = None,
    ) -> None:
        """Compare the receipts of *range_*, read through *connection*, with *reader*.

        *broker_started_at* is the start of an in-memory broker, which keeps nothing over a restart
        and cannot find offsets by time.
        """
        self._settings = settings
        self._connection = connection
        self._reader = reader
        self._range = range_
        self._broker_started_at = broker_started_at
        self._bounds = (
            range_.lower,
            range_.upper,
            broker_started_at or datetime.min.replace(tzinfo=UTC),
        )
        self._retention: Mapping[str, TopicRetention] = {}
        self._installation: str | None = None
        self._receipt_ranges: Mapping[tuple[str, int], Any] = {}
        self.partitions: Sequence[AuditedPartition] = ()
        """The partitions that have to be read; known after `inspect_topics`."""
        self.result = KafkaAuditResult()
        self.lost_event_ids: list[UUID] = []
        """The events that Kafka has lost; complete after `run`."""
        self._lost_by_topic: dict[str, LostRecords] = {}
        self._leaderless: Collection[tuple[str, int]] = ()
        self._accepted: Mapping[tuple[str, int], int] = {}

    async def inspect_topics(self) -> list[AuditFinding]:
        """Determine the partitions to read; return the findings about the topics themselves."""
        self._installation = await self._connection.fetchval(TOPIC_QUERIES["installation"])
        present = await self._reader.fetch_partition_counts()
        self._leaderless = await self._reader.fetch_leaderless()
        accepted = await self._connection.fetch(QUERIES["accepted_ends"])
        self._accepted = {(row["topic"], row["partition"]): row["offset"] for row in accepted}
        rows = await self._connection.fetch(QUERIES["written_partitions"], *self._bounds)
        self.result.forgotten = sum(row["forgotten"] for row in rows)
        self._receipt_ranges = {
            (r["topic"], r["partition"]): r for r in rows if r["last"] is not None
        }
        names = {self._settings.wire_name(topic): topic for topic in Topic}
        outbound = {name for name, topic in names.items() if topic not in UNAUDITED_TOPICS}
        partitions = {
            AuditedPartition(t, n, t in outbound) for t, n in self._receipt_ranges if t in present
        }
        partitions |= {
            AuditedPartition(t, n, True) for t in outbound & set(present) for n in range(present[t])
        }
        self.partitions = sorted(partitions)
        self._retention = await self._reader.fetch_retention(
            sorted({target.topic for target in partitions})
        )
        missing_topics = sorted(
            {topic for topic, _ in self._receipt_ranges if topic not in present}
        )
        gaps = await self._connection.fetch(GAP_QUERIES["open_gaps"])
        self.result.inbound_removed = sum(row["next"] - row["first"] for row in gaps)
        return [
            *[
                inbound_removed(row["topic"], row["partition"], row["first"], row["next"])
                for row in gaps
            ],
            *await self._find_partition_changes(present),
            *[await self._report_missing_topic(name) for name in missing_topics],
        ]

    async def _report_missing_topic(self, name: str) -> AuditFinding:
        """Count the receipts of a missing topic that are younger than the retention of Kafka."""
        since = datetime.now(UTC) - timedelta(days=self._settings.kafka_retention_days)
        lower, upper, created_since = self._bounds
        rows = await self._connection.fetch(
            QUERIES["receipts_of_topic"], lower, upper, max(created_since, since), name
        )
        self.lost_event_ids += [row["event_id"] for row in rows]
        return topic_missing(name, len(rows))

    async def run(self) -> AsyncIterator[list[AuditFinding]]:
        """Read the partitions; yield the findings of each of `partitions`, and update `result`.

        The last item holds the lost records of all partitions, in one finding per topic and kind.
        """
        for target in self.partitions:
            if (target.topic, target.partition) in self._leaderless:
                yield [partition_silent(str(target))]
                continue
            yield await self._audit_partition(
                target, self._receipt_ranges.get((target.topic, target.partition))
            )
        yield [
            finding for lost in self._lost_by_topic.values() for finding in lost.build_findings()
        ]

    async def _find_partition_changes(self, present: Mapping[str, int]) -> list[AuditFinding]:
        rows = await self._connection.fetch(QUERIES["partitions"])
        return [
            partitions_changed(row["name"], row["partitions"], present[row["name"]])
            for row in rows
            if row["name"] in ordered_topics(self._settings)
            and present.get(row["name"], row["partitions"]) != row["partitions"]
        ]

    async def _audit_partition(
        self, target: AuditedPartition, receipts: Mapping[str, Any] | None
    ) -> list[AuditFinding]:
        parameters = (*self._bounds, target.topic, target.partition)
        bounds = await self._reader.fetch_range(target.topic, target.partition)
        start, end = await self._offsets_to_read(target, bounds, receipts)
        without_offset = await self._connection.fetch(
            QUERIES["receipts_without_offset"], *parameters
        )
        range_ = self._range
        # Retention may have dropped events below the lower bound of what is kept.
        unknown = UnknownRecords(
            str(target),
            max(range_.lower, range_.retained_since),
            range_.upper,
            accepted_end=self._accepted.get((target.topic, target.partition), 0),
        )
        unreadable: list[UnreadableRange] = []
        async with self._connection.transaction(readonly=True):
            cursor = await self._connection.cursor(QUERIES["receipts"], *parameters)
            matcher = ReceiptMatcher(
                str(target), cursor, {row["event_id"] for row in without_offset}, self._installation
            )
            async for records in self._reader.read_range(
                target.topic, target.partition, start, end, unreadable
            ):
                self.result.records_read += len(records)
                seen, known = await matcher.match(records)
                if target.whole:
                    ids = [one.event_id for one in seen]
                    unknown.check(seen, known | await self._fetch_known(ids))
            await matcher.finish()
        self.result.proved += matcher.matched_count
        self.result.unplaced += len(matcher.without_offset)
        self._record_ahead(unknown.ahead_since)
        absent = [one for one in matcher.unmatched if not _is_within(one.offset, unreadable)]
        self.result.unreadable += len(matcher.unmatched) - len(absent)
        self._collect_lost(target, self._filter_missing(target, bounds, absent), matcher.mismatches)
        foreign_findings = [
            foreign_producer(str(target), name, count)
            for name, count in matcher.foreign_counts.items()
        ]
        unreadable_findings = [
            record_unreadable(str(target), one.first, one.next_offset, one.reason)
            for one in unreadable
        ]
        return [*unknown.build_findings(), *foreign_findings, *unreadable_findings]

    async def _offsets_to_read(
        self, target: AuditedPartition, bounds: OffsetRange, receipts: Mapping[str, Any] | None
    ) -> tuple[int, int]:
        """Return the range of offsets of *target* that has to be read."""
        first = bounds.end if receipts is None or receipts["first"] is None else receipts["first"]
        if not target.whole:
            last = -1 if receipts is None else receipts["last"]
            return max(bounds.first, first), min(bounds.end, last + 1)
        start: int | None = bounds.first
        if self._range.lower != UUID(int=0) and self._broker_started_at is None:
            since = uuid7_timestamp(self._range.lower) - MAX_CLOCK_SKEW
            start = await self._reader.find_offset(target.topic, target.partition, since)
        return max(bounds.first, min(first, bounds.end if start is None else start)), bounds.end

    async def _fetch_known(self, ids: Sequence[UUID]) -> set[UUID]:
        rows = await self._connection.fetch(
            AHEAD_QUERIES["known_events"], ids, min(ids, default=None), max(ids, default=None)
        )
        return {row["id"] for row in rows}

    def _filter_missing(
        self, target: AuditedPartition, bounds: OffsetRange, absent: Sequence[ReceiptClaim]
    ) -> list[ReceiptClaim]:
        """Return which of *absent* Kafka should still have; retention removed the others.

        Old records of a topic that was created again would have been removed as well.
        """
        retention = self._retention.get(target.topic)
        missing = [receipt for receipt in absent if _is_missing(receipt, bounds, retention)]
        self.result.expired += len(absent) - len(missing)
        return missing

    def _collect_lost(
        self,
        target: AuditedPartition,
        missing: Sequence[ReceiptClaim],
        differing: Sequence[ReceiptMismatch],
    ) -> None:
        """Collect what Kafka has lost, by topic."""
        lost = self._lost_by_topic.setdefault(target.topic, LostRecords())
        for receipt in missing:
            lost.missing = lost.missing or (
                f"{target}/{receipt.offset}",
                receipt.event_id,
            )
            lost.missing_count += 1
        for receipt, found in differing:
            position = f"{target}/{receipt.offset}"
            lost.differing = lost.differing or (position, receipt.event_id, found)
            lost.differing_count += 1
        self.lost_event_ids += [receipt.event_id for receipt in missing]
        self.lost_event_ids += [receipt.event_id for receipt, _ in differing]

    def _record_ahead(self, ahead_since: datetime | None) -> None:
        if ahead_since is not None:
            self.result.ahead_since = min(ahead_since, self.result.ahead_since or ahead_since)
