"""Delivers again what was delivered before, with the same event id.

A handler's replay is harmless: its receipt says that the work is done, so nothing is done. A
replay for the relay publishes again, marked by a header: consumers outside decide what it means.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.actor import Actor
from govid.bus.consumers import bucket_of
from govid.bus.ids import uuid7
from govid.bus.selection import CONDITIONS, Selection

# "replay" in hexadecimal: one replay at a time on one database.
ADVISORY_LOCK = 0x7265706C6179

# What may be delivered again: it was delivered once, and is not on its way already. Not what an
# operator discarded: that was a decision.
_CANDIDATES = f"""
    FROM bus.event e
    JOIN bus.receipt s ON s.event_id = e.id AND s.outcome IN ('done', 'skipped')
    WHERE {CONDITIONS}
    AND NOT EXISTS (
        SELECT FROM bus.delivery d WHERE d.subscriber = s.subscriber AND d.event_id = e.id
    )
"""

_COUNT = f"SELECT s.subscriber, count(*) AS deliveries {_CANDIDATES} GROUP BY 1 ORDER BY 1"

_BATCH = f"""
    SELECT e.id, e.pos, e.key, s.subscriber {_CANDIDATES}
    AND (e.pos, s.subscriber) > ($8::bigint, $9::text) AND e.pos <= $10
    ORDER BY e.pos, s.subscriber LIMIT $11
"""

# The primary key (subscriber, pos) lets one of two operators win, and the other change nothing.
_INSERT = """
    INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key, replay_id)
    SELECT *, $6::uuid
    FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::uuid[], $5::text[])
    ON CONFLICT DO NOTHING
    RETURNING 1
"""

log = logging.getLogger(__name__)


class ReplayRunning(Exception):
    """Somebody else replays on this database now."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is: deliveries inserted so far, of how many."""

    done: int
    total: int


class Replay:
    """Replays through one asyncpg connection, which it needs for itself."""

    def __init__(self, connection: Any, *, batch_size: int = 500) -> None:
        """Insert *batch_size* deliveries a transaction."""
        self._connection = connection
        self._batch_size = batch_size

    async def count(self, selection: Selection) -> Mapping[str, int]:
        """Return how many deliveries a replay of *selection* would repeat, by subscriber."""
        rows = await self._connection.fetch(_COUNT, *selection.parameters())
        return {row["subscriber"]: row["deliveries"] for row in rows}

    async def subscribers(self) -> list[str]:
        """Return the names of all subscribers that ever completed a delivery."""
        rows = await self._connection.fetch(
            "SELECT DISTINCT subscriber FROM bus.receipt ORDER BY 1"
        )
        return [row["subscriber"] for row in rows]

    async def run(
        self,
        selection: Selection,
        *,
        actor: Actor,
        reason: str,
        rate: float | None = None,
        replay_id: UUID | None = None,
    ) -> AsyncIterator[Progress]:
        """Insert the deliveries batch by batch, at most *rate* a second, and report each batch.

        What is stored after the start is not touched. Ended half-way, it leaves whole batches
        behind; the same call again does the rest.

        Raises:
            ReplayRunning: another replay holds the database.
        """
        replay_id = replay_id or uuid7()
        async with self._alone():
            total = sum((await self.count(selection)).values())
            log.info(
                "replay.started",
                extra={
                    "replay_id": str(replay_id),
                    "actor": f"{actor.kind}:{actor.id}",
                    "reason": reason,
                    "selection": msgspec.to_builtins(selection),
                    "deliveries": total,
                },
            )
            done = 0
            try:
                async for inserted in self._batches(selection, replay_id, rate):
                    done += inserted
                    yield Progress(done=done, total=total)
            finally:
                log.info("replay.ended", extra={"replay_id": str(replay_id), "deliveries": done})

    async def _batches(
        self, selection: Selection, replay_id: UUID, rate: float | None
    ) -> AsyncIterator[int]:
        horizon = await self._connection.fetchval("SELECT coalesce(max(pos), 0) FROM bus.event")
        size = self._batch_size if rate is None else max(1, min(self._batch_size, int(rate)))
        pos, subscriber = -1, ""
        while True:
            began = time.monotonic()
            async with self._connection.transaction():
                rows = await self._connection.fetch(
                    _BATCH, *selection.parameters(), pos, subscriber, horizon, size
                )
                if not rows:
                    return
                inserted = await self._connection.fetch(
                    _INSERT,
                    [row["subscriber"] for row in rows],
                    [row["pos"] for row in rows],
                    [bucket_of(row["key"] or str(row["id"])) for row in rows],
                    [row["id"] for row in rows],
                    [row["key"] for row in rows],
                    replay_id,
                )
            pos, subscriber = rows[-1]["pos"], rows[-1]["subscriber"]
            yield len(inserted)
            if rate is not None:
                await asyncio.sleep(max(0.0, len(rows) / rate - (time.monotonic() - began)))

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        held = await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_LOCK)
        if not held:
            raise ReplayRunning
        try:
            yield
        finally:
            await self._connection.execute("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK)
