"""Reads and writes sessions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select, update

from govid.bus import Transaction, uuid7
from govid.bus.shared.contract import AccountStatus
from govid.identity.models import Account, Session


class LiveSession(msgspec.Struct, frozen=True, kw_only=True):
    """A live session, as it is needed to issue its tokens."""

    account_id: UUID
    session_id: UUID
    client_id: str
    acr: str
    auth_time: datetime
    absolute_expires_at: datetime


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A live session, as it is shown to the account holder."""

    id: UUID
    client_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


_SESSION_COLUMNS = (
    Session.account_id,
    Session.id.label("session_id"),
    Session.client_id,
    Session.acr,
    Session.auth_time,
    Session.absolute_expires_at,
)
_LIVE = (
    Session.revoked_at.is_(None),
    func.least(Session.idle_expires_at, Session.absolute_expires_at) > func.clock_timestamp(),
    Session.created_at > Account.tokens_valid_after,
    Account.status.not_in((AccountStatus.BLOCKED, AccountStatus.CLOSED)),
)
"""The conditions of a live session; `sessions.authentication` has the same in its statement."""


class SessionRepository:
    """Inserts, locks, lists and revokes sessions."""

    async def insert(
        self,
        tx: Transaction,
        account_id: UUID,
        *,
        client_id: str,
        acr: str,
        lifetime: timedelta,
        idle: timedelta,
    ) -> LiveSession:
        """Insert a session that expires after *lifetime*, or after *idle* without use.

        The database's clock is used, because all replicas share it. It is read after the account's
        row lock is acquired, so that a session is either older than a block or not created. It is
        read once, so that the times differ by exactly the given durations.
        """
        now = func.statement_timestamp()
        statement = (
            insert(Session)
            .values(
                id=uuid7(),
                account_id=account_id,
                client_id=client_id,
                acr=acr,
                auth_time=now,
                created_at=now,
                last_seen_at=now,
                idle_expires_at=now + idle,
                absolute_expires_at=now + lifetime,
            )
            .returning(*_SESSION_COLUMNS)
        )
        return LiveSession(**(await tx.execute(statement)).mappings().one())

    async def lock_live(
        self, tx: Transaction, session_id: UUID, *, account_id: UUID
    ) -> LiveSession | None:
        """Lock the session and return it, if it is live and of this account.

        The caller must hold the account's row lock. A session of another account is not locked, so
        that a client that names it cannot delay its holder.
        """
        statement = (
            select(*_SESSION_COLUMNS)
            .join(Account, Account.id == Session.account_id)
            .where(Session.id == session_id, Session.account_id == account_id, *_LIVE)
            .with_for_update(of=Session, key_share=True)
        )
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else LiveSession(**row)

    async def lock_account(self, tx: Transaction, account_id: UUID, *, write: bool) -> None:
        """Lock the account; with *write*, exclusively."""
        await tx.execute(
            select(Account.id)
            .where(Account.id == account_id)
            .with_for_update(read=not write, key_share=write)
        )

    async def extend_idle(self, tx: Transaction, session_id: UUID, *, idle: timedelta) -> None:
        """Record the use of the session and extend its idle expiry."""
        now = func.statement_timestamp()
        await tx.execute(
            update(Session)
            .where(Session.id == session_id)
            .values(last_seen_at=now, idle_expires_at=now + idle)
        )

    async def fetch_live(
        self, tx: Transaction, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Sequence[SessionSummary]:
        """Return live sessions of the account in order of creation, one more than *limit*."""
        ends_at = func.least(Session.idle_expires_at, Session.absolute_expires_at)
        statement = (
            select(
                Session.id,
                Session.client_id,
                Session.created_at,
                Session.last_seen_at,
                ends_at.label("expires_at"),
            )
            .join(Account, Account.id == Session.account_id)
            .where(Session.account_id == account_id, *_LIVE)
            .order_by(Session.id)
            .limit(limit + 1)
        )
        if after is not None:
            statement = statement.where(Session.id > after)
        return [SessionSummary(**row) for row in (await tx.execute(statement)).mappings()]

    async def revoke(self, tx: Transaction, session_id: UUID, *, reason: str) -> bool:
        """Revoke the session; return False if it was already revoked."""
        result = await tx.execute(
            update(Session)
            .where(Session.id == session_id, Session.revoked_at.is_(None))
            .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
            .returning(Session.id)
        )
        return result.first() is not None

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> Sequence[UUID]:
        """Revoke every session of the account that is not revoked; return their ids in order."""
        # Locked in one order first, because two transactions that revoke the same rows would
        # otherwise deadlock.
        unrevoked = (
            select(Session.id)
            .where(Session.account_id == account_id, Session.revoked_at.is_(None))
            .order_by(Session.id)
            .with_for_update(key_share=True)
            .cte("unrevoked")
        )
        result = await tx.execute(
            update(Session)
            .where(Session.id == unrevoked.c.id)
            .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
            .returning(Session.id)
        )
        return sorted(result.scalars().all())

    async def invalidate_tokens(self, tx: Transaction, account_id: UUID) -> None:
        """Invalidate every token issued to the account until now. Locks the account."""
        await tx.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(tokens_valid_after=func.clock_timestamp())
        )
