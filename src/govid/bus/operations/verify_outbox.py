"""Delivery audit: checks that each event has exactly one delivery at each of its addressees.

The addressees of an event are stored with the event; those that a backfill added, in the event that
records the backfill. Each chunk is read in a snapshot of its own, so an audit may run beside
traffic, and delays vacuum only for moments.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.operations.audit_findings import (
    AuditFinding,
    delivery_problem,
    sequence_counter_behind,
    sequence_gap,
)
from govid.bus.shared.ids import first_uuid7_at
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.operations", "verify_outbox.sql")
CHUNK_EVENTS = 5_000
OPERATOR_KEY = "operator/outbox"
_LOWEST = UUID(int=0)
_DELIVERIES = msgspec.json.Decoder(dict[str, list[UUID]])
_MARGIN = timedelta(hours=1)


class AuditRange(msgspec.Struct, frozen=True, kw_only=True):
    """The audited range of event ids: `lower` is inclusive, `upper` exclusive.

    Events older than `retained_since` may have been dropped by retention.
    """

    lower: UUID
    upper: UUID
    retained_since: UUID

    @classmethod
    def for_period(
        cls, since: datetime | None, until: datetime | None, *, now: datetime, retained_days: float
    ) -> "AuditRange":
        """Return the range from *since* to *until*, or from the oldest event to *now*."""
        return cls(
            lower=first_uuid7_at(since) if since else _LOWEST,
            upper=first_uuid7_at(until or now),
            retained_since=first_uuid7_at(now - timedelta(days=retained_days) + _MARGIN),
        )


class AuditTotals(msgspec.Struct, kw_only=True):
    """The totals so far: events, and deliveries by subscriber and state.

    `unaddressed` events were stored before addressees were recorded: for them the audit cannot
    show that no delivery is missing.
    """

    events: int = 0
    unaddressed: int = 0
    states: dict[str, dict[str, int]] = {}


class DeliveryAudit:
    """Audits a range of events, through one asyncpg connection that is in no transaction."""

    def __init__(
        self, connection: Any, range_: AuditRange, *, chunk_events: int = CHUNK_EVENTS
    ) -> None:
        """Audit the events of *range_*, *chunk_events* at a time."""
        self._connection = connection
        self._range = range_
        self._chunk_events = chunk_events
        self._backfilled: list[tuple[UUID, str]] = []
        self.totals = AuditTotals(states={})

    async def count_events(self) -> int:
        """Return the number of events in the range."""
        range_ = self._range
        return int(await self._connection.fetchval(QUERIES["count"], range_.lower, range_.upper))

    async def run(self) -> AsyncIterator[list[AuditFinding]]:
        """Yield the findings, chunk by chunk; `totals` grows meanwhile."""
        yield await self._check_sequences()
        yield await self._check_orphans()
        await self._read_backfills()
        lower: UUID | None = self._range.lower
        while lower is not None:
            found, lower = await self._check_chunk(lower)
            yield found

    async def _check_sequences(self) -> list[AuditFinding]:
        range_ = self._range
        bounds = (range_.lower, range_.upper)
        async with self._snapshot():
            gaps = await self._connection.fetch(QUERIES["gaps"], *bounds, range_.retained_since)
            ends = await self._connection.fetch(QUERIES["ends"], *bounds, range_.retained_since)
            counters = await self._connection.fetch(QUERIES["unnumbered"], *bounds)
        return [
            *(sequence_gap(g["key"], g["first"], g["last"], g["id_before"]) for g in gaps),
            *(sequence_gap(e["key"], e["first"], e["last"], e["id"]) for e in ends),
            *(sequence_counter_behind(f["key"], f["seq"]) for f in counters),
        ]

    async def _check_orphans(self) -> list[AuditFinding]:
        rows = await self._connection.fetch(
            QUERIES["orphans"], self._range.lower, self._range.upper
        )
        return [
            delivery_problem(row["problem"], row["subscriber"], row["event_id"], None)
            for row in rows
        ]

    async def _read_backfills(self) -> None:
        rows = await self._connection.fetch(QUERIES["backfills"], self._range.lower, OPERATOR_KEY)
        self._backfilled = sorted(
            (event_id, subscriber)
            for row in rows
            for subscriber, ids in _DELIVERIES.decode(row["deliveries"]).items()
            for event_id in ids
        )

    async def _check_chunk(self, lower: UUID) -> tuple[list[AuditFinding], UUID | None]:
        """Audit the events from *lower* on; return the findings and where the next chunk begins.

        Both statements read one snapshot: an event that is stored between them would seem to have
        no deliveries.
        """
        range_ = self._range
        async with self._snapshot():
            chunk = await self._connection.fetchrow(
                QUERIES["chunk"], lower, range_.upper, self._chunk_events
            )
            full = chunk["events"] == self._chunk_events
            upper = UUID(int=chunk["last"].int + 1) if full else range_.upper
            rows = await self._connection.fetch(
                QUERIES["delivery_states"],
                lower,
                upper,
                chunk["low"] or 0,
                chunk["high"] or -1,
                *self._find_backfilled(lower, upper),
                range_.retained_since,
            )
        self.totals.events += chunk["events"]
        self.totals.unaddressed += chunk["unaddressed"]
        found = []
        for row in rows:
            if row["state"] is not None and row["problem"] != "event_deleted":
                states = self.totals.states.setdefault(row["subscriber"], {})
                states[row["state"]] = states.get(row["state"], 0) + row["count"]
            found += [
                delivery_problem(row["problem"], row["subscriber"], event_id, row["state"])
                for event_id in row["event_ids"] or ()
            ]
        return found, upper if full else None

    def _find_backfilled(self, lower: UUID, upper: UUID) -> tuple[list[UUID], list[str]]:
        first, last = (bisect_left(self._backfilled, (bound, "")) for bound in (lower, upper))
        added = self._backfilled[first:last]
        return [event_id for event_id, _ in added], [subscriber for _, subscriber in added]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[None]:
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield
