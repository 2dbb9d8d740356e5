"""Where sessions are read and written."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, update

from govid.bus import Transaction, uuid7
from govid.identity.models import Session


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun."""

    account_id: UUID
    session_id: UUID
    client_id: str
    acr: str
    auth_time: datetime
    absolute_expires_at: datetime


_OPENED = (
    Session.account_id,
    Session.id.label("session_id"),
    Session.client_id,
    Session.acr,
    Session.auth_time,
    Session.absolute_expires_at,
)


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
        account's lock was taken, so a session is older than a block or is not opened at all.
        """
        now = func.clock_timestamp()
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

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> None:
        """Revoke every session of the account that is not revoked yet."""
        await tx.execute(
            update(Session)
            .where(Session.account_id == account_id, Session.revoked_at.is_(None))
            .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
        )
