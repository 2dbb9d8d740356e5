"""Audits the receipts of the relay: Kafka must hold each event at the offset of its receipt.

Each partition is read once, from the beginning of the range to its end. Records of govid without a
receipt are looked up in the database: a record with an unknown event is a finding, too.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus.conservation import Range
from govid.bus.contracts import Topic
from govid.bus.findings import (
    Finding,
    foreign_producer,
    inbound_removed,
    partition_silent,
    partitions_changed,
    record_differs,
    record_missing,
    record_unreadable,
    topic_missing,
)
from govid.bus.ids import moment_of
from govid.bus.kafka.archive import Archive, Bounds, Keeping, UnreadableRecords
from govid.bus.kafka.claims import Claim, Claims, Difference
from govid.bus.kafka.inbound_faults import QUERIES as GAP_QUERIES
from govid.bus.kafka.kafka_ahead import QUERIES as AHEAD_QUERIES
from govid.bus.kafka.strangers import Strangers
from govid.bus.kafka.topics_admin import QUERIES as TOPIC_QUERIES
from govid.bus.kafka.topics_admin import ordered_topics
from govid.bus.settings import BusSettings
from govid.bus.sql import read

QUERIES = read("govid.bus.kafka", "proof.sql")
MIXED = (Topic.ACTIVITY, Topic.ACCESS)
"""Topics with records that were never in the outbox, so that an unknown id is no finding."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
"""By how much the timestamp of a record may precede that of its event."""


class KafkaTally(msgspec.Struct, kw_only=True):
    """Number of receipts by result. Receipts that are not proved are not necessarily wrong.

    `proved`: the record is at its offset. `expired`: Kafka removed the record by its retention.
    `forgotten`: the record was in an in-memory broker that was restarted. `unplaced`: Kafka never
    told the offset, and the record was not found. `unreadable`: the record is in an unreadable
    batch. `inbound_removed`: foreign records that Kafka removed unread, without an acceptance by an
    operator. `ahead_since`: time of the first event that Kafka holds and the database does not
    know.
    """

    proved: int = 0
    expired: int = 0
    forgotten: int = 0
    unplaced: int = 0
    unreadable: int = 0
    inbound_removed: int = 0
    records_read: int = 0
    ahead_since: datetime | None = None


class Place(NamedTuple):
    """A partition to read; `whole` if all records of govid in it were in the outbox."""

    topic: str
    partition: int
    whole: bool

    def __str__(self) -> str:
        """Return `topic/partition`."""
        return f"{self.topic}/{self.partition}"


class Lost(msgspec.Struct):
    """Lost records of one topic: their number and the position of the first."""

    missing: tuple[str, UUID] | None = None
    missing_count: int = 0
    differing: tuple[str, UUID, UUID | None] | None = None
    differing_count: int = 0

    def findings(self) -> list[Finding]:
        """Return one finding for missing and one for differing records."""
        found = []
        if self.missing is not None:
            found.append(record_missing(*self.missing, more=self.missing_count - 1))
        if self.differing is not None:
            found.append(record_differs(*self.differing, more=self.differing_count - 1))
        return found


def _is_missing(receipt: Claim, bounds: Bounds, keeping: Keeping | None) -> bool:
    """Return whether Kafka should still have the record, according to the topic's retention."""
    if keeping is None or not keeping.by_age_only:
        return receipt.offset >= bounds.first
    age = (datetime.now(UTC) - receipt.handled_at).total_seconds()
    is_young = keeping.seconds is None or age < keeping.seconds
    return is_young or bounds.first <= receipt.offset < bounds.end


def _is_within(offset: int, unreadable: Sequence[UnreadableRecords]) -> bool:
    return any(one.first <= offset < one.next_offset for one in unreadable)


class KafkaProof:
    """Audits the receipts of a range of events against Kafka."""

    def __init__(
        self,
        settings: BusSettings,
        connection: Any,
        reader: Archive,
        range_: Range,
        *,
        born_at: datetime | None = None,
    ) -> None:
        """Compare the receipts of *range_*, read through *connection*, with *reader*.

        *broker_started_at* is the start of an in-memory broker, which keeps nothing over a restart
        and cannot find offsets by time.
        """
        self._settings = settings
        self._connection = connection
        self._archive = reader
        self._range = range_
        self._born_at = born_at
        self._bounds = (range_.lower, range_.upper, born_at or datetime.min.replace(tzinfo=UTC))
        self._keeping: Mapping[str, Keeping] = {}
        self._installation: str | None = None
        self._receipt_ranges: Mapping[tuple[str, int], Any] = {}
        self.places: Sequence[Place] = ()
        """The partitions that have to be read; known after `inspect_topics`."""
        self.tally = KafkaTally()
        self.unproved: list[UUID] = []
        """The events that Kafka has lost; complete after `run`."""
        self._lost: dict[str, Lost] = {}
        self._leaderless: Collection[tuple[str, int]] = ()
        self._accepted: Mapping[tuple[str, int], int] = {}

    async def survey(self) -> list[Finding]:
        """Determine the partitions to read; return the findings about the topics themselves."""
        self._installation = await self._connection.fetchval(TOPIC_QUERIES["installation"])
        present = await self._archive.partitions()
        self._leaderless = await self._archive.leaderless()
        accepted = await self._connection.fetch(QUERIES["accepted_ends"])
        self._accepted = {(row["topic"], row["partition"]): row["offset"] for row in accepted}
        rows = await self._connection.fetch(QUERIES["written_partitions"], *self._bounds)
        self.tally.forgotten = sum(row["forgotten"] for row in rows)
        self._receipt_ranges = {
            (r["topic"], r["partition"]): r for r in rows if r["last"] is not None
        }
        names = {self._settings.wire_name(topic): topic for topic in Topic}
        outbound = {name for name, topic in names.items() if topic not in MIXED}
        places = {Place(t, n, t in outbound) for t, n in self._receipt_ranges if t in present}
        places |= {Place(t, n, True) for t in outbound & set(present) for n in range(present[t])}
        self.places = sorted(places)
        self._keeping = await self._archive.keeping(sorted({target.topic for target in places}))
        lost = sorted({topic for topic, _ in self._receipt_ranges if topic not in present})
        gaps = await self._connection.fetch(GAP_QUERIES["open_gaps"])
        self.tally.inbound_removed = sum(row["next"] - row["first"] for row in gaps)
        return [
            *[
                inbound_removed(row["topic"], row["partition"], row["first"], row["next"])
                for row in gaps
            ],
            *await self._partition_changes(present),
            *[await self._topic_missing(name) for name in lost],
        ]

    async def _topic_missing(self, name: str) -> Finding:
        """Count the receipts of a missing topic that are younger than the retention of Kafka."""
        since = datetime.now(UTC) - timedelta(days=self._settings.kafka_retention_days)
        lower, upper, born = self._bounds
        rows = await self._connection.fetch(
            QUERIES["receipts_of_topic"], lower, upper, max(born, since), name
        )
        self.unproved += [row["event_id"] for row in rows]
        return topic_missing(name, len(rows))

    async def run(self) -> AsyncIterator[list[Finding]]:
        """Read the partitions; yield the findings of each of `partitions`, and update `result`.

        The last item holds the lost records of all partitions, in one finding per topic and kind.
        """
        for target in self.places:
            if (target.topic, target.partition) in self._leaderless:
                yield [partition_silent(str(target))]
                continue
            yield await self._audit_partition(
                target, self._receipt_ranges.get((target.topic, target.partition))
            )
        yield [finding for lost in self._lost.values() for finding in lost.findings()]

    async def _partition_changes(self, present: Mapping[str, int]) -> list[Finding]:
        rows = await self._connection.fetch(QUERIES["partitions"])
        return [
            partitions_changed(row["name"], row["partitions"], present[row["name"]])
            for row in rows
            if row["name"] in ordered_topics(self._settings)
            and present.get(row["name"], row["partitions"]) != row["partitions"]
        ]

    async def _audit_partition(
        self, target: Place, receipts: Mapping[str, Any] | None
    ) -> list[Finding]:
        where = (*self._bounds, target.topic, target.partition)
        bounds = await self._archive.bounds(target.topic, target.partition)
        start, end = await self._offsets_to_read(target, bounds, receipts)
        somewhere = await self._connection.fetch(QUERIES["receipts_without_offset"], *where)
        range_ = self._range
        # Retention may have dropped events below the lower bound of what is kept.
        unknown = Strangers(
            str(target),
            max(range_.lower, range_.floor),
            range_.upper,
            accepted=self._accepted.get((target.topic, target.partition), 0),
        )
        unreadable: list[UnreadableRecords] = []
        async with self._connection.transaction(readonly=True):
            cursor = await self._connection.cursor(QUERIES["receipts"], *where)
            matcher = Claims(
                str(target), cursor, {row["event_id"] for row in somewhere}, self._installation
            )
            async for records in self._archive.read(
                target.topic, target.partition, start, end, unreadable
            ):
                self.tally.records_read += len(records)
                seen, known = await matcher.compare(records)
                if target.whole:
                    ids = [one.event_id for one in seen]
                    unknown.judge(seen, known | await self._fetch_known(ids))
            await matcher.finish()
        self.tally.proved += matcher.proved
        self.tally.unplaced += len(matcher.somewhere)
        self._record_ahead(unknown.ahead_since)
        absent = [one for one in matcher.absent if not _is_within(one.offset, unreadable)]
        self.tally.unreadable += len(matcher.absent) - len(absent)
        self._collect_lost(target, self._missing(target, bounds, absent), matcher.differing)
        foreign = [
            foreign_producer(str(target), name, count) for name, count in matcher.foreign.items()
        ]
        unread = [
            record_unreadable(str(target), one.first, one.next_offset, one.reason)
            for one in unreadable
        ]
        return [*unknown.findings(), *foreign, *unread]

    async def _offsets_to_read(
        self, target: Place, bounds: Bounds, receipts: Mapping[str, Any] | None
    ) -> tuple[int, int]:
        """Return the range of offsets of *target* that has to be read."""
        first = bounds.end if receipts is None or receipts["first"] is None else receipts["first"]
        if not target.whole:
            last = -1 if receipts is None else receipts["last"]
            return max(bounds.first, first), min(bounds.end, last + 1)
        start: int | None = bounds.first
        if self._range.lower != UUID(int=0) and self._born_at is None:
            since = moment_of(self._range.lower) - MAX_CLOCK_SKEW
            start = await self._archive.offset_at(target.topic, target.partition, since)
        return max(bounds.first, min(first, bounds.end if start is None else start)), bounds.end

    async def _fetch_known(self, ids: Sequence[UUID]) -> set[UUID]:
        rows = await self._connection.fetch(
            AHEAD_QUERIES["known_events"], ids, min(ids, default=None), max(ids, default=None)
        )
        return {row["id"] for row in rows}

    def _missing(self, target: Place, bounds: Bounds, absent: Sequence[Claim]) -> list[Claim]:
        """Return which of *absent* Kafka should still have; retention removed the others.

        Old records of a topic that was created again would have been removed as well.
        """
        keeping = self._keeping.get(target.topic)
        missing = [receipt for receipt in absent if _is_missing(receipt, bounds, keeping)]
        self.tally.expired += len(absent) - len(missing)
        return missing

    def _collect_lost(
        self, target: Place, missing: Sequence[Claim], differing: Sequence[Difference]
    ) -> None:
        """Collect what Kafka has lost, by topic."""
        lost = self._lost.setdefault(target.topic, Lost())
        for receipt in missing:
            lost.missing = lost.missing or (
                f"{target}/{receipt.offset}",
                receipt.event_id,
            )
            lost.missing_count += 1
        for receipt, found in differing:
            at = f"{target}/{receipt.offset}"
            lost.differing = lost.differing or (at, receipt.event_id, found)
            lost.differing_count += 1
        self.unproved += [receipt.event_id for receipt in missing]
        self.unproved += [receipt.event_id for receipt, _ in differing]

    def _record_ahead(self, ahead_since: datetime | None) -> None:
        if ahead_since is not None:
            self.tally.ahead_since = min(ahead_since, self.tally.ahead_since or ahead_since)
