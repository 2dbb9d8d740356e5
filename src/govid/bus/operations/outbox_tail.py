"""Follows the events in the outbox, in the order of their positions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

from govid.bus.shared.ids import first_uuid7_at

POLL_SECONDS = 0.2
BATCH = 5000
LOOKBEHIND_ROWS = 1000
"""Positions that are read again, because positions are assigned before transactions commit."""

_EVENTS_AFTER = """
    SELECT pos, id::text AS id, type, topic, record_key, payload::text AS payload, occurred_at
    FROM bus.event WHERE pos > $1 ORDER BY pos LIMIT $2
"""
_LAST_POSITION = "SELECT coalesce(max(pos), 0) FROM bus.event"
# By id, which begins with the time of the event. The order of ids and positions differs only for
# events of the same moment, so the lowest position is among the first ids.
FIRST_SINCE = """
    SELECT coalesce(min(pos) - 1, (SELECT max(pos) FROM bus.event), 0)
    FROM (SELECT pos FROM bus.event WHERE id >= $1 ORDER BY id LIMIT $2) AS first
"""


class StoredEvent(NamedTuple):
    """A row of the outbox; `payload` is JSON, with personal values."""

    position: int
    id: str
    type: str
    topic: str | None
    record_key: str | None
    payload: str
    occurred_at: datetime

    def __repr__(self) -> str:
        """Show the position only (I9)."""
        return f"<StoredEvent {self.position}>"


class OutboxTail:
    """Follows the outbox through an asyncpg connection."""

    def __init__(self, connection: Any) -> None:
        """Read through *connection*."""
        self._connection = connection

    async def find_start(self, since: datetime | None) -> int:
        """Return the position before the first event since then, or before the next event."""
        if since is None:
            position: int = await self._connection.fetchval(_LAST_POSITION)
        else:
            position = await self._connection.fetchval(
                FIRST_SINCE, first_uuid7_at(since), LOOKBEHIND_ROWS
            )
        return position

    async def read(self, start: int, *, stops_at_end: bool) -> AsyncIterator[StoredEvent]:
        """Yield the events after the position *start*, each once.

        With *stops_at_end* they end at the present end of the outbox, otherwise never.
        """
        seen: set[int] = set()
        lower_bound = start
        while True:
            rows = await self._connection.fetch(_EVENTS_AFTER, lower_bound, BATCH)
            for row in rows:
                if row["pos"] not in seen:
                    seen.add(row["pos"])
                    yield StoredEvent(*row)
            if stops_at_end and len(rows) < BATCH:
                return
            lower_bound = max(start, max(seen, default=start) - LOOKBEHIND_ROWS)
            seen = {pos for pos in seen if pos > lower_bound}
            await asyncio.sleep(POLL_SECONDS)
