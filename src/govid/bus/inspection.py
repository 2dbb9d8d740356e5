"""What an operator may ask of the outbox. It only reads, and shows nothing personal unasked."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.masking import masked
from govid.bus.selection import CONDITIONS, Selection

STATES = ("pending", "waiting", "parked", "dead", "done", "skipped", "discarded")
"""Every state of a delivery. `waiting` is tried again by itself, `parked` waits for a person."""

_STATUS = """
    WITH owed AS (
        SELECT d.subscriber, count(*) AS pending,
               extract(epoch FROM clock_timestamp() - min(e.stored_at))::float8 AS oldest_seconds
        FROM bus.delivery d JOIN bus.event e ON e.id = d.event_id
        GROUP BY d.subscriber
    ),
    stuck AS (
        SELECT subscriber,
               count(*) FILTER (WHERE until <> 'infinity') AS waiting_keys,
               count(*) FILTER (WHERE until = 'infinity') AS parked_keys
        FROM bus.parked GROUP BY subscriber
    ),
    lost AS (SELECT subscriber, count(*) AS dead FROM bus.dead GROUP BY subscriber),
    known AS (
        SELECT subscriber FROM bus.lease UNION SELECT subscriber FROM owed
        UNION SELECT subscriber FROM stuck UNION SELECT subscriber FROM lost
    )
    SELECT subscriber, coalesce(pending, 0) AS pending, oldest_seconds,
           coalesce(waiting_keys, 0) AS waiting_keys, coalesce(parked_keys, 0) AS parked_keys,
           coalesce(dead, 0) AS dead
    FROM known
    LEFT JOIN owed USING (subscriber) LEFT JOIN stuck USING (subscriber)
    LEFT JOIN lost USING (subscriber)
    ORDER BY subscriber
"""

# One row for each event and subscriber, whatever became of it. The events behind the head of a
# parked key are pending: they wait for their turn, not for a person.
_DELIVERIES = """
    SELECT d.subscriber, d.event_id, d.replay_id, p.attempts, p.reason, p.error_class,
           CASE WHEN p.event_id IS NULL THEN 'pending'
                WHEN p.until = 'infinity' THEN 'parked' ELSE 'waiting' END AS state,
           NULL::timestamptz AS handled_at, NULL::integer AS partition, NULL::bigint AS "offset"
    FROM bus.delivery d
    LEFT JOIN bus.parked p
        ON p.subscriber = d.subscriber AND p.key = coalesce(d.key, '@' || d.event_id)
        AND p.event_id = d.event_id
    UNION ALL
    SELECT subscriber, event_id, NULL, attempts, reason, error_class, 'dead', NULL, NULL, NULL
    FROM bus.dead
    UNION ALL
    SELECT r.subscriber, r.event_id, NULL, NULL, NULL, NULL, r.outcome, r.handled_at,
           r.partition, r."offset"
    FROM bus.receipt r
    WHERE NOT EXISTS (
        SELECT FROM bus.delivery d
        WHERE d.subscriber = r.subscriber AND d.event_id = r.event_id
    )
"""

_FIND = f"""
    SELECT e.id, e.type, e.key, e.seq, e.topic, e.stored_at, s.subscriber, s.state, s.attempts,
           s.reason
    FROM bus.event e JOIN ({_DELIVERIES}) s ON s.event_id = e.id
    WHERE {CONDITIONS} AND ($8::text IS NULL OR s.state = $8)
    ORDER BY e.pos DESC, s.subscriber
    LIMIT $9
"""  # noqa: S608 - put together from constants; every value is a parameter

_EVENT = """
    SELECT id, pos, type, version, topic, key, seq, record_key, payload::text AS payload,
           headers::text AS headers, occurred_at, stored_at
    FROM bus.event WHERE id = $1
"""

_FATE = f"""
    SELECT s.* FROM ({_DELIVERIES}) s WHERE s.event_id = $1 ORDER BY s.subscriber
"""  # noqa: S608 - as above


class SubscriberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed to one subscriber. `oldest_seconds` is the age of the oldest debt."""

    subscriber: str
    pending: int
    oldest_seconds: float | None
    waiting_keys: int
    parked_keys: int
    dead: int


class DeliveryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One event and what became of it at one subscriber."""

    id: UUID
    type: str
    key: str | None
    seq: int | None
    topic: str | None
    stored_at: datetime
    subscriber: str
    state: str
    attempts: int | None
    reason: str | None


class EventDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One event, whole, with its fate at every subscriber."""

    event: Mapping[str, Any]
    payload: Mapping[str, Any]
    headers: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]

    def __repr__(self) -> str:
        """Show nothing: the payload may be personal (I9)."""
        return "<EventDetail>"


class Inspection:
    """Reads the outbox through an asyncpg connection or pool."""

    def __init__(self, connection: Any) -> None:
        """Read through *connection*."""
        self._connection = connection

    async def status(self) -> list[SubscriberStatus]:
        """Return the debts of every subscriber that ever held a lease or is owed something."""
        rows = await self._connection.fetch(_STATUS)
        return [SubscriberStatus(**row) for row in rows]

    async def find(
        self, selection: Selection, *, state: str | None = None, limit: int = 100
    ) -> list[DeliveryLine]:
        """Return the newest deliveries of *selection*, of one *state* if it is given."""
        rows = await self._connection.fetch(_FIND, *selection.parameters(), state, limit)
        return [DeliveryLine(**row) for row in rows]

    async def show(self, event_id: UUID, *, raw: bool = False) -> EventDetail | None:
        """Return one event, its payload masked unless *raw*, or None if there is none."""
        row = await self._connection.fetchrow(_EVENT, event_id)
        if row is None:
            return None
        event = dict(row)
        payload = msgspec.json.decode(event.pop("payload"))
        headers = msgspec.json.decode(event.pop("headers"))
        return EventDetail(
            event=event,
            payload=payload if raw else masked(payload, event["type"]),
            headers=headers,
            deliveries=[dict(line) for line in await self._connection.fetch(_FATE, event_id)],
        )
