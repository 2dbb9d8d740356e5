"""Session expiry: records the last use, expires sessions, deletes rows of ended ones."""

import asyncio
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update

from govid.bus import DATABASE_UNAVAILABLE, Database, Transaction
from govid.bus.events import SessionExpired
from govid.identity.models import Session

EXPIRED = "expired"
ENDED_RETENTION = timedelta(days=1)
"""How long a session stays in its table after its end. Its events are kept longer."""


class SessionExpiry:
    """Idle and absolute expiry of sessions, as cleanup jobs that skip locked rows.

    Times are compared with `statement_timestamp()`. With `clock_timestamp()` the planner cannot
    use an index, and each run would read every session.
    """

    async def expire_due(self, tx: Transaction, limit: int) -> int:
        """Mark at most *limit* expired sessions and emit an event for each."""
        due = (
            select(Session.id)
            .where(
                Session.revoked_at.is_(None),
                func.least(Session.idle_expires_at, Session.absolute_expires_at)
                <= func.statement_timestamp(),
            )
            .limit(limit)
            .with_for_update(key_share=True, skip_locked=True)
            .cte("due")
        )
        marked = await tx.execute(
            update(Session)
            .where(Session.id == due.c.id)
            .values(revoked_at=func.clock_timestamp(), revoked_reason=EXPIRED)
            .returning(Session.id, Session.account_id)
        )
        expired = marked.all()
        for row in expired:
            tx.emit(SessionExpired(account_id=row.account_id, session_id=row.id, timestamp=tx.now))
        return len(expired)

    async def delete_ended(self, tx: Transaction, limit: int) -> int:
        """Delete at most *limit* sessions that ended before the retention, with their tokens."""
        ended = (
            select(Session.id)
            .where(Session.revoked_at < func.statement_timestamp() - ENDED_RETENTION)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("ended")
        )
        deleted = await tx.execute(
            delete(Session).where(Session.id == ended.c.id).returning(Session.id)
        )
        return len(deleted.all())


FLUSH_SECONDS = 1.0
MAX_PENDING = 10_000

# A locked session is being revoked or refreshed, so it is skipped. Another replica may have
# recorded the same use a moment ago.
_RECORD = """
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


class LastSeenWriter:
    """Postpones the idle expiry of used sessions, about once a minute for each."""

    def __init__(self, database: Database, idle_seconds: int) -> None:
        """Let a used session be idle for another *idle_seconds*."""
        self._database = database
        self._idle_seconds = timedelta(seconds=idle_seconds)
        self._used_sessions: set[UUID] = set()
        self._wakeup = asyncio.Event()

    def record_use(self, session_id: UUID) -> None:
        """Queue the session, so that its use is recorded within about a second."""
        if len(self._used_sessions) < MAX_PENDING:
            self._used_sessions.add(session_id)
            self._wakeup.set()

    async def run(self) -> None:
        """Write the queued uses every second until cancelled."""
        while True:
            await self._wakeup.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write the queued uses; an outage loses them, and the next request queues them again."""
        self._wakeup.clear()
        used, self._used_sessions = self._used_sessions, set()
        try:
            await self._database.reads.execute(_RECORD, list(used), self._idle_seconds)
        except DATABASE_UNAVAILABLE:
            return
