"""Replays events: delivers again what was delivered before, with the same event id.

A replay to a handler changes nothing, because its receipt shows that the event was handled. A
replay to the relay publishes the event again, with a header that marks it; external consumers
decide what that means.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from govid.bus.delivery.subscriptions import RELAY, bucket_for_key
from govid.bus.operations.delivery_filter import CONDITIONS, DeliveryFilter
from govid.bus.operations.operator_actions import (
    BATCH_SIZE,
    BatchProgress,
    ChangedDelivery,
    OperatorAction,
    OperatorActions,
    RateLimiter,
    exclusive_action,
)

# The deliveries that can be replayed: completed ones that are not pending. Discarded deliveries are
# excluded, because an operator decided against them.
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

# The next events by position. They bound the ids of the batch, because receipts are found by id: a
# batch that is bounded only by positions would read the receipts of all days.
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

# If two operators replay the same delivery, the primary key (subscriber, pos) lets one of them
# insert it, and the other changes nothing.
_INSERT = """
    WITH pending AS (
        INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key, replay_id)
        SELECT *, $6::uuid
        FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::uuid[], $5::text[])
        ON CONFLICT DO NOTHING
        RETURNING subscriber, event_id
    ),
    undone AS (
        DELETE FROM bus.receipt r USING pending p
        WHERE $7 AND r.subscriber = p.subscriber AND r.event_id = p.event_id
    )
    SELECT subscriber, event_id FROM pending
"""


# The bounds let the planner prune the partitions of all other days.
_POSITIONS = "SELECT id, pos FROM bus.event WHERE id = ANY ($1::uuid[]) AND id BETWEEN $2 AND $3"
_NO_HORIZON = 2**63 - 1
POSITION_ROWS = 5_000
LOOK_AHEAD = 4
"""How many events are read for each delivery of a batch: not all of them may be replayed."""


class DeliveryReplay:
    """Replays deliveries through one asyncpg connection, which has no other user meanwhile."""

    def __init__(self, connection: Any, *, batch_size: int = BATCH_SIZE) -> None:
        """Insert at most *batch_size* deliveries a transaction."""
        self._connection = connection
        self._batch_size = batch_size

    async def count_deliveries(self, delivery_filter: DeliveryFilter) -> Mapping[str, int]:
        """Return how many deliveries match *delivery_filter* and can be replayed, by subscriber."""
        rows = await self._connection.fetch(_COUNT, *delivery_filter.query_parameters())
        return {row["subscriber"]: row["deliveries"] for row in rows}

    async def fetch_subscribers(self) -> list[str]:
        """Return the names of all subscribers that have completed a delivery."""
        rows = await self._connection.fetch(
            "SELECT DISTINCT subscriber FROM bus.receipt ORDER BY 1"
        )
        return [row["subscriber"] for row in rows]

    async def run(
        self,
        delivery_filter: DeliveryFilter,
        actions: OperatorActions,
        action: OperatorAction,
        *,
        rate: float | None = None,
        reexecute: bool = False,
    ) -> AsyncIterator[BatchProgress]:
        """Insert the deliveries batch by batch, at most *rate* a second, and yield the progress.

        *reexecute* deletes the receipts: handlers run again, and the relay stores the new position
        of each record.

        Events that are stored after the start are not replayed. An interrupted run leaves whole
        batches; the same call again completes it. The id of *action* marks the published records.

        Raises:
            ActionInProgress: another replay or backfill is running.
        """
        async with exclusive_action(self._connection):
            total = sum((await self.count_deliveries(delivery_filter)).values())
            horizon = await self._connection.fetchval("SELECT coalesce(max(pos), 0) FROM bus.event")
            limiter, done = RateLimiter(rate, self._batch_size), 0
            position: tuple[int, str] | None = (-1, "")
            while position is not None:
                batch = _ReplayBatch(
                    self._connection,
                    delivery_filter,
                    position,
                    horizon,
                    limiter.batch_size,
                    action,
                    reexecute=reexecute,
                )
                changed = await actions.commit_batch(action, batch.insert)
                position = batch.next_position
                if changed:
                    done += changed
                    yield BatchProgress(done=done, total=total)
                    await limiter.wait(changed)

    async def run_for_events(
        self,
        ids: Collection[UUID],
        actions: OperatorActions,
        action: OperatorAction,
        *,
        rate: float | None = None,
    ) -> AsyncIterator[BatchProgress]:
        """Let the relay publish the events *ids* again, in order, and store their new positions.

        Raises:
            ActionInProgress: another replay or backfill is running.
        """
        async with exclusive_action(self._connection):
            positions: list[tuple[int, UUID]] = []
            for chunk in _chunks(sorted(ids), POSITION_ROWS):
                rows = await self._connection.fetch(_POSITIONS, chunk, chunk[0], chunk[-1])
                positions += [(row["pos"], row["id"]) for row in rows]
            limiter, done = RateLimiter(rate, self._batch_size), 0
            # By position, as the relay reads: the events of a key have to keep their order.
            for part in _chunks(
                [event_id for _, event_id in sorted(positions)], limiter.batch_size
            ):
                delivery_filter = DeliveryFilter(ids=part, subscriber=RELAY)
                batch = _ReplayBatch(
                    self._connection,
                    delivery_filter,
                    (-1, ""),
                    _NO_HORIZON,
                    len(part),
                    action,
                    reexecute=True,
                )
                changed = await actions.commit_batch(action, batch.insert)
                if changed:
                    done += changed
                    yield BatchProgress(done=done, total=len(positions))
                    await limiter.wait(changed)


def _chunks(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    """Yield *ids*, at most *size* at a time."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


class _ReplayBatch:
    """One batch of a replay, from a position on.

    `next_position` is the position of the following batch, None at the end.
    """

    def __init__(
        self,
        connection: Any,
        delivery_filter: DeliveryFilter,
        position: tuple[int, str],
        horizon: int,
        size: int,
        action: OperatorAction,
        *,
        reexecute: bool,
    ) -> None:
        self._connection = connection
        self._delivery_filter = delivery_filter
        self._position = position
        self._horizon = horizon
        self._size = size
        self._action = action
        self._reexecute = reexecute
        self.next_position: tuple[int, str] | None = None

    async def insert(self) -> list[ChangedDelivery]:
        conditions = self._delivery_filter.query_parameters()
        events = await self._connection.fetchrow(
            NEXT_EVENTS, *conditions, self._position[0], self._horizon, LOOK_AHEAD * self._size
        )
        if not events["events"]:
            return []
        rows = await self._connection.fetch(
            _BATCH,
            *conditions,
            *self._position,
            events["last_pos"],
            events["lowest"],
            events["highest"],
            self._size,
        )
        if len(rows) == self._size:
            self.next_position = rows[-1]["pos"], rows[-1]["subscriber"]
        else:
            # All subscribers of these events are done: continue with the next event.
            self.next_position = events["last_pos"] + 1, ""
        if not rows:
            return []
        inserted = await self._connection.fetch(
            _INSERT,
            [row["subscriber"] for row in rows],
            [row["pos"] for row in rows],
            [bucket_for_key(row["key"] or str(row["id"])) for row in rows],
            [row["id"] for row in rows],
            [row["key"] for row in rows],
            self._action.id,
            self._reexecute,
        )
        return [(row["subscriber"], row["event_id"]) for row in inserted]
