"""When sessions were last used: noted beside the requests, never by them."""

import asyncio
from datetime import timedelta
from uuid import UUID

from govid.bus import DATABASE_UNAVAILABLE, Database

FLUSH_SECONDS = 1.0
BACKLOG = 10_000

# Whoever holds a session's lock is ending or renewing it: no need to wait for them. Another replica
# may have noted the same a moment ago.
_NOTE = """
    WITH seen AS (
        SELECT id FROM identity.session
        WHERE id = ANY ($1) AND revoked_at IS NULL
            AND least(idle_expires_at, absolute_expires_at) > clock_timestamp()
            AND last_seen_at < clock_timestamp() - interval '1 minute'
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE identity.session s SET
        last_seen_at = clock_timestamp(),
        idle_expires_at = greatest(s.idle_expires_at, clock_timestamp() + $2::interval)
    FROM seen WHERE s.id = seen.id
"""


class LastSeen:
    """Keeps sessions that are in use from expiring as idle ones; about once a minute each."""

    def __init__(self, database: Database, idle_seconds: int) -> None:
        """Let a session that was seen be idle for another *idle_seconds*."""
        self._database = database
        self._idle = timedelta(seconds=idle_seconds)
        self._seen: set[UUID] = set()
        self._news = asyncio.Event()

    def note(self, session_id: UUID) -> None:
        """Note, soon, that the session is in use."""
        if len(self._seen) < BACKLOG:
            self._seen.add(session_id)
            self._news.set()

    async def run(self) -> None:
        """Write down what was noted, until cancelled."""
        while True:
            await self._news.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write down what was noted; an outage loses it, and the next request notes it again."""
        self._news.clear()
        seen, self._seen = self._seen, set()
        try:
            await self._database.reads.execute(_NOTE, list(seen), self._idle)
        except DATABASE_UNAVAILABLE:
            return
