"""Where sessions are read and written."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select, update

from govid.bus import Transaction, uuid7
from govid.bus.shared.account_status import AccountStatus
from govid.identity.models import Account, Session


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun."""

    account_id: UUID
    session_id: UUID
    client_id: str
    acr: str
    auth_time: datetime
    absolute_expires_at: datetime


class Sighted(msgspec.Struct, frozen=True, kw_only=True):
    """A living session, as its owner sees it."""

    id: UUID
    client_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


_OPENED = (
    Session.account_id,
    Session.id.label("session_id"),
    Session.client_id,
    Session.acr,
    Session.auth_time,
    Session.absolute_expires_at,
)
_ALIVE = (
    Session.revoked_at.is_(None),
    func.least(Session.idle_expires_at, Session.absolute_expires_at) > func.clock_timestamp(),
    Session.created_at > Account.tokens_valid_after,
    Account.status.not_in((AccountStatus.BLOCKED, AccountStatus.CLOSED)),
)
"""What authority stands on; `sessions.live` asks the same at the head of every request."""


class Sessions:
    """The sign-ins."""

    async def open(
        self,
        tx: Transaction,
        account_id: UUID,
        *,
        client_id: str,
        acr: str,
        lifetime: timedelta,
        idle: timedelta,
    ) -> Opened:
        """Begin a session that ends after *lifetime*, or when nobody has used it for *idle*.

        The database's clock counts, as it is the one that all replicas share. It is read after the
        account's lock was taken, so a session is older than a block or is not opened at all; and
        once, so that its times differ by exactly what they should.
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
            .returning(*_OPENED)
        )
        return Opened(**(await tx.execute(statement)).mappings().one())

    async def hold(self, tx: Transaction, session_id: UUID, *, of: UUID) -> Opened | None:
        """Lock the session and return it, if it is alive and this account's.

        The account must be locked before. Another account's session is not even waited for: whoever
        names it holds no lock that its owner needs.
        """
        statement = (
            select(*_OPENED)
            .join(Account, Account.id == Session.account_id)
            .where(Session.id == session_id, Session.account_id == of, *_ALIVE)
            .with_for_update(of=Session, key_share=True)
        )
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else Opened(**row)

    async def lock_owner(self, tx: Transaction, account_id: UUID, *, write: bool) -> None:
        """Lock the account; with *write*, nobody else may lock it."""
        await tx.execute(
            select(Account.id)
            .where(Account.id == account_id)
            .with_for_update(read=not write, key_share=write)
        )

    async def renew(self, tx: Transaction, session_id: UUID, *, idle: timedelta) -> None:
        """Note that the session is in use."""
        now = func.statement_timestamp()
        await tx.execute(
            update(Session)
            .where(Session.id == session_id)
            .values(last_seen_at=now, idle_expires_at=now + idle)
        )

    async def own(
        self, tx: Transaction, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Sequence[Sighted]:
        """Return living sessions of the account in order of opening, one more than *limit*."""
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
            .where(Session.account_id == account_id, *_ALIVE)
            .order_by(Session.id)
            .limit(limit + 1)
        )
        if after is not None:
            statement = statement.where(Session.id > after)
        return [Sighted(**row) for row in (await tx.execute(statement)).mappings()]

    async def revoke(self, tx: Transaction, session_id: UUID, *, reason: str) -> bool:
        """Revoke the session; tell whether it was not revoked before."""
        result = await tx.execute(
            update(Session)
            .where(Session.id == session_id, Session.revoked_at.is_(None))
            .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
            .returning(Session.id)
        )
        return result.first() is not None

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> Sequence[UUID]:
        """Revoke every session of the account that is not revoked yet; return them, in order."""
        # Locked in one order first: two that revoke the same ones would wait for each other.
        living = (
            select(Session.id)
            .where(Session.account_id == account_id, Session.revoked_at.is_(None))
            .order_by(Session.id)
            .with_for_update(key_share=True)
            .cte("living")
        )
        result = await tx.execute(
            update(Session)
            .where(Session.id == living.c.id)
            .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
            .returning(Session.id)
        )
        return sorted(result.scalars().all())

    async def invalidate(self, tx: Transaction, account_id: UUID) -> None:
        """Let no token count that a session of the account got until now. Locks the account."""
        await tx.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(tokens_valid_after=func.clock_timestamp())
        )
