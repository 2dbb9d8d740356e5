"""Proves what receipts claim: that Kafka holds the event at the offset where it was put.

Each partition is read once, from the beginning of the range to its end. The records of govid that
no receipt claims are looked up: one that this database does not know is a finding too.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus.conservation import Range
from govid.bus.contracts import Topic
from govid.bus.findings import (
    Finding,
    foreign_producer,
    partitions_changed,
    record_missing,
    topic_missing,
)
from govid.bus.ids import moment_of
from govid.bus.kafka.archive import Archive, Bounds, Keeping
from govid.bus.kafka.claims import Claim, Claims
from govid.bus.kafka.sql import QUERIES as KAFKA_QUERIES
from govid.bus.kafka.strangers import Strangers
from govid.bus.kafka.topics_admin import ordered_topics
from govid.bus.settings import BusSettings
from govid.bus.sql import read

QUERIES = read("govid.bus.kafka", "proof.sql")
MIXED = (Topic.ACTIVITY, Topic.ACCESS)
"""Topics that hold records which never were in the outbox: an unknown id says nothing there."""
CLOCKS = timedelta(minutes=5)
"""By how much the time of a record may be before that of its event."""


class KafkaTally(msgspec.Struct, kw_only=True):
    """What became of the receipts' claims. Those that are not proved are not disproved either.

    `expired`: Kafka has let go of the record, in its own time. `forgotten`: it stood in an earlier
    life of the in-memory broker. `unplaced`: Kafka never told the offset, and the record was not
    met. `ahead_since`: from when on Kafka knows events that the database does not.
    """

    proved: int = 0
    expired: int = 0
    forgotten: int = 0
    unplaced: int = 0
    records_read: int = 0
    ahead_since: datetime | None = None


class Place(NamedTuple):
    """A partition; `whole` if every record of it that govid wrote was in the outbox."""

    topic: str
    partition: int
    whole: bool

    def __str__(self) -> str:
        """Return it as it is written everywhere."""
        return f"{self.topic}/{self.partition}"


class KafkaProof:
    """Compares the receipts of a range of events with Kafka."""

    def __init__(
        self,
        settings: BusSettings,
        connection: Any,
        archive: Archive,
        range_: Range,
        *,
        born_at: datetime | None = None,
    ) -> None:
        """Compare the receipts of *range_*, read through *connection*, with *archive*.

        *born_at* is when a broker was started that forgets; such a one has no times either.
        """
        self._settings = settings
        self._connection = connection
        self._archive = archive
        self._range = range_
        self._born_at = born_at
        self._bounds = (range_.lower, range_.upper, born_at or datetime.min.replace(tzinfo=UTC))
        self._keeping: Mapping[str, Keeping] = {}
        self._installation: str | None = None
        self._claimed: Mapping[tuple[str, int], Any] = {}
        self.places: Sequence[Place] = ()
        """The partitions that have to be read, once `survey` has found out."""
        self.tally = KafkaTally()

    async def survey(self) -> list[Finding]:
        """Find out what there is; return what is wrong with the topics themselves."""
        self._installation = await self._connection.fetchval(KAFKA_QUERIES["installation"])
        present = await self._archive.partitions()
        rows = await self._connection.fetch(QUERIES["places"], *self._bounds)
        self.tally.forgotten = sum(row["forgotten"] for row in rows)
        self._claimed = {(r["topic"], r["partition"]): r for r in rows if r["last"] is not None}
        names = {self._settings.wire_name(topic): topic for topic in Topic}
        outbound = {name for name, topic in names.items() if topic not in MIXED}
        places = {Place(t, n, t in outbound) for t, n in self._claimed if t in present}
        places |= {Place(t, n, True) for t in outbound & set(present) for n in range(present[t])}
        self.places = sorted(places)
        self._keeping = await self._archive.keeping(sorted({place.topic for place in places}))
        lost = sorted({topic for topic, _ in self._claimed if topic not in present})
        return [
            *await self._changed(present),
            *(topic_missing(name, names.get(name, name)) for name in lost),
        ]

    async def run(self) -> AsyncIterator[list[Finding]]:
        """Yield what is wrong, one item for each of `places`; `tally` grows on the way."""
        for place in self.places:
            yield await self._prove(place, self._claimed.get((place.topic, place.partition)))

    async def _changed(self, present: Mapping[str, int]) -> list[Finding]:
        rows = await self._connection.fetch(QUERIES["partitions"])
        return [
            partitions_changed(row["name"], row["partitions"], present[row["name"]])
            for row in rows
            if row["name"] in ordered_topics(self._settings)
            and present.get(row["name"], row["partitions"]) != row["partitions"]
        ]

    async def _prove(self, place: Place, claimed: Mapping[str, Any] | None) -> list[Finding]:
        where = (*self._bounds, place.topic, place.partition)
        bounds = await self._archive.bounds(place.topic, place.partition)
        start, end = await self._stretch(place, bounds, claimed)
        somewhere = await self._connection.fetch(QUERIES["claims_somewhere"], *where)
        range_ = self._range
        # What is older than the floor may have been dropped by retention.
        strangers = Strangers(str(place), max(range_.lower, range_.floor), range_.upper)
        async with self._connection.transaction(readonly=True):
            cursor = await self._connection.cursor(QUERIES["claims"], *where)
            claims = Claims(
                str(place), cursor, {row["event_id"] for row in somewhere}, self._installation
            )
            async for records in self._archive.read(place.topic, place.partition, start, end):
                self.tally.records_read += len(records)
                seen, known = await claims.compare(records)
                if place.whole:
                    ids = [one.event_id for one in seen]
                    strangers.judge(seen, known | await self._known(ids))
            await claims.finish()
        self.tally.proved += claims.proved
        self.tally.unplaced += len(claims.somewhere)
        self._note(strangers.ahead_since)
        missing = self._missing(place, bounds, claims.absent)
        foreign = [
            foreign_producer(str(place), name, count) for name, count in claims.foreign.items()
        ]
        return [*claims.findings, *missing, *strangers.findings(), *foreign]

    async def _stretch(
        self, place: Place, bounds: Bounds, claimed: Mapping[str, Any] | None
    ) -> tuple[int, int]:
        """Return from where to where *place* has to be read."""
        first = bounds.end if claimed is None or claimed["first"] is None else claimed["first"]
        if not place.whole:
            last = -1 if claimed is None else claimed["last"]
            return max(bounds.first, first), min(bounds.end, last + 1)
        start: int | None = bounds.first
        if self._range.lower != UUID(int=0) and self._born_at is None:
            since = moment_of(self._range.lower) - CLOCKS
            start = await self._archive.offset_at(place.topic, place.partition, since)
        return max(bounds.first, min(first, bounds.end if start is None else start)), bounds.end

    async def _known(self, ids: Sequence[UUID]) -> set[UUID]:
        rows = await self._connection.fetch(
            KAFKA_QUERIES["known_events"], ids, min(ids, default=None), max(ids, default=None)
        )
        return {row["id"] for row in rows}

    def _missing(self, place: Place, bounds: Bounds, absent: Sequence[Claim]) -> list[Finding]:
        """Return which of *absent* should be there; the others have left in Kafka's own time."""
        missing = [c for c in absent if c.offset >= bounds.first or self._is_young(place, c)]
        self.tally.expired += len(absent) - len(missing)
        return [record_missing(f"{place}/{c.offset}", c.event_id) for c in missing]

    def _is_young(self, place: Place, claim: Claim) -> bool:
        """Tell whether Kafka should have kept the record, as far as it says how long it keeps."""
        keeping = self._keeping.get(place.topic)
        if keeping is None or not keeping.by_age_only:
            return False
        age = (datetime.now(UTC) - claim.handled_at).total_seconds()
        return keeping.seconds is None or age < keeping.seconds

    def _note(self, ahead_since: datetime | None) -> None:
        if ahead_since is not None:
            self.tally.ahead_since = min(ahead_since, self.tally.ahead_since or ahead_since)
