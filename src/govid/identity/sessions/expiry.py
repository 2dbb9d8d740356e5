"""Expires sessions and deletes rows of sessions that ended long ago."""

from datetime import timedelta

from sqlalchemy import delete, func, select, update

from govid.bus import Transaction
from govid.bus.contracts import SessionExpired
from govid.identity.models import Session

EXPIRED = "expired"
ENDED_RETENTION = timedelta(days=1)
"""How long a session stays in its table after its end. Its events are kept longer."""


class SessionExpiry:
    """Idle and absolute expiry of sessions, as cleanup jobs that skip locked rows.

    Times are compared with `statement_timestamp()`. With `clock_timestamp()` the planner cannot
    use an index, and each run would read every session.
    """

    async def expire_due(self, tx: Transaction, rows: int) -> int:
        """Mark at most *rows* expired sessions and emit an event for each."""
        due = (
            select(Session.id)
            .where(
                Session.revoked_at.is_(None),
                func.least(Session.idle_expires_at, Session.absolute_expires_at)
                <= func.statement_timestamp(),
            )
            .limit(rows)
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

    async def purge_ended(self, tx: Transaction, rows: int) -> int:
        """Delete at most *rows* sessions that ended before the retention, with their tokens."""
        ended = (
            select(Session.id)
            .where(Session.revoked_at < func.statement_timestamp() - ENDED_RETENTION)
            .limit(rows)
            .with_for_update(skip_locked=True)
            .cte("ended")
        )
        deleted = await tx.execute(
            delete(Session).where(Session.id == ended.c.id).returning(Session.id)
        )
        return len(deleted.all())
