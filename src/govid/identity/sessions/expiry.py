"""Sessions that have ended by themselves, and rows that nobody needs any more."""

from datetime import timedelta

from sqlalchemy import delete, func, select, update

from govid.bus import Transaction
from govid.bus.contracts import SessionExpired
from govid.identity.models import Session

EXPIRED = "expired"
KEPT = timedelta(days=1)
"""How long a dead session stays in its table. What it was is told by its events."""


class Expiry:
    """Housekeeping of sessions: whoever uses a row meanwhile is not waited for.

    It compares with the time of its statement, not of the moment (`clock_timestamp`): for that one
    no index is of use, and each round would read every session there is.
    """

    async def expire(self, tx: Transaction, rows: int) -> int:
        """Mark at most so many sessions that have expired, each with its event."""
        over = (
            select(Session.id)
            .where(
                Session.revoked_at.is_(None),
                func.least(Session.idle_expires_at, Session.absolute_expires_at)
                <= func.statement_timestamp(),
            )
            .limit(rows)
            .with_for_update(key_share=True, skip_locked=True)
            .cte("over")
        )
        marked = await tx.execute(
            update(Session)
            .where(Session.id == over.c.id)
            .values(revoked_at=func.clock_timestamp(), revoked_reason=EXPIRED)
            .returning(Session.id, Session.account_id)
        )
        expired = marked.all()
        for row in expired:
            tx.emit(SessionExpired(account_id=row.account_id, session_id=row.id, timestamp=tx.now))
        return len(expired)

    async def purge(self, tx: Transaction, rows: int) -> int:
        """Delete at most so many sessions that have been dead for long, with their tokens."""
        dead = (
            select(Session.id)
            .where(Session.revoked_at < func.statement_timestamp() - KEPT)
            .limit(rows)
            .with_for_update(skip_locked=True)
            .cte("dead")
        )
        gone = await tx.execute(
            delete(Session).where(Session.id == dead.c.id).returning(Session.id)
        )
        return len(gone.all())
