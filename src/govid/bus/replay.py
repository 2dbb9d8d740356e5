"""Delivers again what was delivered before, with the same event id.

A handler's replay is harmless: its receipt says that the work is done, so nothing is done. A
replay for the relay publishes again, marked by a header: consumers outside decide what it means.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from govid.bus.acts import BATCH_SIZE, Act, Acts, Pace, Progress, Touched, alone
from govid.bus.consumers import bucket_of
from govid.bus.selection import CONDITIONS, Selection

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
    WITH owed AS (
        INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key, replay_id)
        SELECT *, $6::uuid
        FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::uuid[], $5::text[])
        ON CONFLICT DO NOTHING
        RETURNING subscriber, event_id
    ),
    undone AS (
        DELETE FROM bus.receipt r USING owed o
        WHERE $7 AND r.subscriber = o.subscriber AND r.event_id = o.event_id
    )
    SELECT subscriber, event_id FROM owed
"""


class Replay:
    """Replays through one asyncpg connection, which it needs for itself."""

    def __init__(self, connection: Any, *, batch_size: int = BATCH_SIZE) -> None:
        """Insert at most *batch_size* deliveries a transaction."""
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
        acts: Acts,
        act: Act,
        *,
        rate: float | None = None,
        reexecute: bool = False,
    ) -> AsyncIterator[Progress]:
        """Insert the deliveries batch by batch, at most *rate* a second, and report each batch.

        To *reexecute* takes the receipts away: handlers work again, the relay says anew where each
        record stands.

        What is stored after the start is not touched. Ended half-way, it leaves whole batches
        behind; the same call again does the rest. The id of *act* marks what is published again.

        Raises:
            ActRunning: another replay, or a backfill, holds the database.
        """
        async with alone(self._connection):
            total = sum((await self.count(selection)).values())
            horizon = await self._connection.fetchval("SELECT coalesce(max(pos), 0) FROM bus.event")
            pace, done = Pace(rate, self._batch_size), 0
            place: tuple[int, str] | None = (-1, "")
            while place is not None:
                where = (*selection.parameters(), *place, horizon, pace.size)
                batch = _Batch(self._connection, where, act, reexecute=reexecute)
                touched = await acts.commit(act, batch.insert)
                place = batch.next
                if touched:
                    done += touched
                    yield Progress(done=done, total=total)
                    await pace.keep(touched)


class _Batch:
    """One step of a replay, from a place on; `next` is the place after it, None at the end."""

    def __init__(
        self, connection: Any, where: Sequence[object], act: Act, *, reexecute: bool
    ) -> None:
        self._connection = connection
        self._where = where
        self._act = act
        self._reexecute = reexecute
        self.next: tuple[int, str] | None = None

    async def insert(self) -> list[Touched]:
        rows = await self._connection.fetch(_BATCH, *self._where)
        if not rows:
            return []
        inserted = await self._connection.fetch(
            _INSERT,
            [row["subscriber"] for row in rows],
            [row["pos"] for row in rows],
            [bucket_of(row["key"] or str(row["id"])) for row in rows],
            [row["id"] for row in rows],
            [row["key"] for row in rows],
            self._act.id,
            self._reexecute,
        )
        self.next = rows[-1]["pos"], rows[-1]["subscriber"]
        return [(row["subscriber"], row["event_id"]) for row in inserted]
