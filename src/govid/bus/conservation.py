"""Proves that nothing is missing: each event is exactly once at each of its addressees.

Who an event was addressed to stands on the event itself; who was added by a backfill, in the event
that records it. Each chunk is judged in a snapshot of its own, so a proof may run beside traffic,
and holds vacuum back only for moments.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.findings import Finding, at_addressee, numbers_forgotten, numbers_missing
from govid.bus.ids import first_uuid7_of
from govid.bus.sql import read

QUERIES = read("govid.bus", "conservation.sql")
CHUNK_EVENTS = 5_000
ACTS_KEY = "operator/outbox"
_LOWEST = UUID(int=0)
_DELIVERIES = msgspec.json.Decoder(dict[str, list[UUID]])
_MARGIN = timedelta(hours=1)


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The events in question: `lower` belongs to them, `upper` does not.

    What is older than `floor` may have been dropped by retention.
    """

    lower: UUID
    upper: UUID
    floor: UUID

    @classmethod
    def of(
        cls, since: datetime | None, until: datetime | None, *, now: datetime, kept_days: float
    ) -> "Range":
        """Return the range from *since* to *until*, or from the oldest event to *now*."""
        return cls(
            lower=first_uuid7_of(since) if since else _LOWEST,
            upper=first_uuid7_of(until or now),
            floor=first_uuid7_of(now - timedelta(days=kept_days) + _MARGIN),
        )


class Tally(msgspec.Struct, kw_only=True):
    """What was counted so far: deliveries by subscriber and state, and the events.

    `unaddressed` events are older than the noting of addressees: that nobody is missing cannot be
    proved for them.
    """

    events: int = 0
    unaddressed: int = 0
    states: dict[str, dict[str, int]] = {}


class Conservation:
    """Judges a range of events, through one asyncpg connection that is in no transaction."""

    def __init__(self, connection: Any, range_: Range, *, chunk_events: int = CHUNK_EVENTS) -> None:
        """Judge the events of *range_*, so many at a time."""
        self._connection = connection
        self._range = range_
        self._chunk_events = chunk_events
        self._added: list[tuple[UUID, str]] = []
        self.tally = Tally(states={})

    async def count(self) -> int:
        """Return how many events there are to judge."""
        range_ = self._range
        return int(await self._connection.fetchval(QUERIES["count"], range_.lower, range_.upper))

    async def run(self) -> AsyncIterator[list[Finding]]:
        """Yield what is wrong, chunk by chunk; `tally` grows on the way."""
        yield await self._numbers()
        yield await self._orphans()
        await self._read_backfills()
        lower: UUID | None = self._range.lower
        while lower is not None:
            found, lower = await self._chunk(lower)
            yield found

    async def _numbers(self) -> list[Finding]:
        range_ = self._range
        bounds = (range_.lower, range_.upper)
        async with self._snapshot():
            gaps = await self._connection.fetch(QUERIES["gaps"], *bounds, range_.floor)
            ends = await self._connection.fetch(QUERIES["ends"], *bounds, range_.floor)
            forgotten = await self._connection.fetch(QUERIES["unnumbered"], *bounds)
        return [
            *(numbers_missing(g["key"], g["first"], g["last"], g["id_before"]) for g in gaps),
            *(numbers_missing(e["key"], e["first"], e["last"], e["id"]) for e in ends),
            *(numbers_forgotten(f["key"], f["seq"]) for f in forgotten),
        ]

    async def _orphans(self) -> list[Finding]:
        rows = await self._connection.fetch(
            QUERIES["orphans"], self._range.lower, self._range.upper
        )
        return [
            at_addressee(row["problem"], row["subscriber"], row["event_id"], None) for row in rows
        ]

    async def _read_backfills(self) -> None:
        rows = await self._connection.fetch(QUERIES["backfills"], self._range.lower, ACTS_KEY)
        self._added = sorted(
            (event_id, subscriber)
            for row in rows
            for subscriber, ids in _DELIVERIES.decode(row["deliveries"]).items()
            for event_id in ids
        )

    async def _chunk(self, lower: UUID) -> tuple[list[Finding], UUID | None]:
        """Judge the events from *lower* on; return what is wrong, and where the next chunk begins.

        Two statements, one snapshot: an event that came between would seem to be owed to nobody.
        """
        range_ = self._range
        async with self._snapshot():
            chunk = await self._connection.fetchrow(
                QUERIES["chunk"], lower, range_.upper, self._chunk_events
            )
            full = chunk["events"] == self._chunk_events
            upper = UUID(int=chunk["last"].int + 1) if full else range_.upper
            rows = await self._connection.fetch(
                QUERIES["fates"],
                lower,
                upper,
                chunk["low"] or 0,
                chunk["high"] or -1,
                *self._added_between(lower, upper),
                range_.floor,
            )
        self.tally.events += chunk["events"]
        self.tally.unaddressed += chunk["unaddressed"]
        found = []
        for row in rows:
            if row["state"] is not None and row["problem"] != "event_deleted":
                states = self.tally.states.setdefault(row["subscriber"], {})
                states[row["state"]] = states.get(row["state"], 0) + row["count"]
            found += [
                at_addressee(row["problem"], row["subscriber"], event_id, row["state"])
                for event_id in row["event_ids"] or ()
            ]
        return found, upper if full else None

    def _added_between(self, lower: UUID, upper: UUID) -> tuple[list[UUID], list[str]]:
        first, last = (bisect_left(self._added, (bound, "")) for bound in (lower, upper))
        added = self._added[first:last]
        return [event_id for event_id, _ in added], [subscriber for _, subscriber in added]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[None]:
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield
