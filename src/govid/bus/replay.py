"""Delivers again what was delivered before, with the same event id.

A handler's replay is harmless: its receipt says that the work is done, so nothing is done. A
replay for the relay publishes again, marked by a header: consumers outside decide what it means.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from govid.bus.acts import BATCH_SIZE, Act, Acts, Pace, Progress, Touched, alone
from govid.bus.consumers import RELAY, bucket_of
from govid.bus.selection import CONDITIONS, Selection

# What may be delivered again: it was delivered once, and is not on its way already. Not what an
# operator discarded: that was a decision.
_CANDIDATES = f"""
    FROM bus.event e
    JOIN bus.receipt s ON s.event_id = e.id AND s.outcome IN ('done', 'skipped')
        AND ($6::uuid IS NULL OR s.event_id >= $6) AND ($7::uuid IS NULL OR s.event_id < $7)
    WHERE {CONDITIONS}
    AND NOT EXISTS (
        SELECT FROM bus.delivery d WHERE d.subscriber = s.subscriber AND d.pos = e.pos
    )
"""

_COUNT = f"SELECT s.subscriber, count(*) AS deliveries {_CANDIDATES} GROUP BY 1 ORDER BY 1"

# The next events by position. They bound the ids of the batch: receipts are found by them, and a
# batch that were bounded by positions only would read the receipts of all days.
NEXT_EVENTS = f"""
    SELECT count(*) AS events, max(pos) AS last_pos,
           (array_agg(id ORDER BY id))[1] AS lowest, (array_agg(id ORDER BY id DESC))[1] AS highest
    FROM (
        SELECT e.id, e.pos FROM bus.event e CROSS JOIN (SELECT $5::text AS subscriber) s
        WHERE {CONDITIONS} AND e.pos >= $8 AND e.pos <= $9
        ORDER BY e.pos LIMIT $10
    ) AS next
"""  # noqa: S608 - put together from constants; every value is a parameter

_BATCH = f"""
    SELECT e.id, e.pos, e.key, s.subscriber {_CANDIDATES}
    AND e.id >= $11 AND e.id <= $12 AND s.event_id >= $11 AND s.event_id <= $12
    AND (e.pos, s.subscriber) > ($8::bigint, $9::text) AND e.pos <= $10
    ORDER BY e.pos, s.subscriber LIMIT $13
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


# The bounds let the planner leave out the days in which none of them is.
_POSITIONS = "SELECT id, pos FROM bus.event WHERE id = ANY ($1::uuid[]) AND id BETWEEN $2 AND $3"
_NO_HORIZON = 2**63 - 1
POSITION_ROWS = 5_000
LOOK_AHEAD = 4
"""How many events are looked at for each delivery of a batch: not all of them may be repeated."""


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
                batch = _Batch(
                    self._connection, selection, place, horizon, pace.size, act, reexecute=reexecute
                )
                touched = await acts.commit(act, batch.insert)
                place = batch.next
                if touched:
                    done += touched
                    yield Progress(done=done, total=total)
                    await pace.keep(touched)

    async def run_events(
        self, ids: Collection[UUID], acts: Acts, act: Act, *, rate: float | None = None
    ) -> AsyncIterator[Progress]:
        """Let the relay publish the events *ids* again, in their order, and note their new places.

        Raises:
            ActRunning: another replay, or a backfill, holds the database.
        """
        async with alone(self._connection):
            places: list[tuple[int, UUID]] = []
            for chunk in _parts(sorted(ids), POSITION_ROWS):
                rows = await self._connection.fetch(_POSITIONS, chunk, chunk[0], chunk[-1])
                places += [(row["pos"], row["id"]) for row in rows]
            pace, done = Pace(rate, self._batch_size), 0
            # By position, as the relay reads: a key's events must not change places.
            for some in _parts([event_id for _, event_id in sorted(places)], pace.size):
                selection = Selection(ids=some, subscriber=RELAY)
                batch = _Batch(
                    self._connection,
                    selection,
                    (-1, ""),
                    _NO_HORIZON,
                    len(some),
                    act,
                    reexecute=True,
                )
                touched = await acts.commit(act, batch.insert)
                if touched:
                    done += touched
                    yield Progress(done=done, total=len(places))
                    await pace.keep(touched)


def _parts(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    """Yield *ids*, at most *size* at a time."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


class _Batch:
    """One step of a replay, from a place on; `next` is the place after it, None at the end."""

    def __init__(
        self,
        connection: Any,
        selection: Selection,
        place: tuple[int, str],
        horizon: int,
        size: int,
        act: Act,
        *,
        reexecute: bool,
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._place = place
        self._horizon = horizon
        self._size = size
        self._act = act
        self._reexecute = reexecute
        self.next: tuple[int, str] | None = None

    async def insert(self) -> list[Touched]:
        conditions = self._selection.parameters()
        events = await self._connection.fetchrow(
            NEXT_EVENTS, *conditions, self._place[0], self._horizon, LOOK_AHEAD * self._size
        )
        if not events["events"]:
            return []
        rows = await self._connection.fetch(
            _BATCH,
            *conditions,
            *self._place,
            events["last_pos"],
            events["lowest"],
            events["highest"],
            self._size,
        )
        if len(rows) == self._size:
            self.next = rows[-1]["pos"], rows[-1]["subscriber"]
        else:
            # No subscriber of the last of these events is left: the next one follows.
            self.next = events["last_pos"] + 1, ""
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
        return [(row["subscriber"], row["event_id"]) for row in inserted]
