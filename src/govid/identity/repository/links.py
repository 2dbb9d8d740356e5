"""Where the tokens of links in mails are kept: their digests, never the tokens."""

import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, select, update

from govid.bus import Transaction
from govid.identity.models import Link
from govid.identity.repository.refresh_tokens import TOKEN_BYTES, digest


class Purpose(StrEnum):
    """What a link does."""

    RESET = "reset"
    EMAIL = "email"


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a link stands for: an account, and the address that it was sent to."""

    account_id: UUID
    address: str

    def __repr__(self) -> str:
        """Name the account only (I9)."""
        return f"<Promise {self.account_id}>"


class Links:
    """The links in mails. Each is good once, and for a while by the database's clock."""

    async def issue(
        self, tx: Transaction, purpose: Purpose, promise: Promise, lifetime: timedelta
    ) -> str:
        """Return a new token, opaque and of 256 random bits."""
        return await self._issue(tx, purpose, promise, lifetime, func.clock_timestamp())

    async def replace(
        self, tx: Transaction, purpose: Purpose, promise: Promise, lifetime: timedelta
    ) -> str:
        """Return a new token in place of every unused one of the account with this *purpose*.

        A link to the same address keeps the time at which it was first issued. A mail that is
        tried again is thus not told from one that had nowhere to go.
        """
        result = await tx.execute(
            delete(Link)
            .where(*_unused(promise.account_id, purpose))
            .returning(Link.address, Link.issued_at)
        )
        first = min(
            (row.issued_at for row in result if row.address == promise.address),
            default=func.clock_timestamp(),
        )
        return await self._issue(tx, purpose, promise, lifetime, first)

    async def prolong(
        self, tx: Transaction, purpose: Purpose, promise: Promise, lifetime: timedelta
    ) -> bool:
        """Let the link that *promise* has stay good for a *lifetime* from now, if it has one."""
        now = func.clock_timestamp()
        result = await tx.execute(
            update(Link)
            .where(
                *_unused(promise.account_id, purpose),
                Link.address == promise.address,
                Link.expires_at > now,
            )
            .values(expires_at=now + lifetime)
            .returning(Link.account_id)
        )
        return result.first() is not None

    async def find(self, tx: Transaction, purpose: Purpose, token: str) -> Promise | None:
        """Return what *token* stands for, if it is still good. Spends and locks nothing."""
        statement = select(Link.account_id, Link.address).where(*_good(purpose, token))
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else Promise(**row)

    async def use(self, tx: Transaction, purpose: Purpose, token: str) -> bool:
        """Spend *token*; tell whether it was still good. Of two at once, one gets a yes."""
        result = await tx.execute(
            update(Link)
            .where(*_good(purpose, token))
            .values(used_at=func.clock_timestamp())
            .returning(Link.account_id)
        )
        return result.first() is not None

    async def revoke(self, tx: Transaction, account_id: UUID, *purposes: Purpose) -> None:
        """Let no unused link of the account with one of these *purposes* open anything."""
        await tx.execute(delete(Link).where(*_unused(account_id, *purposes)))

    async def purge(self, tx: Transaction, most: int) -> int:
        """Forget at most so many links whose time is over; return how many."""
        # The statement's time, for which the index serves, as it does not for the moment's.
        over = select(Link.hash).where(Link.expires_at < func.statement_timestamp()).limit(most)
        return (await tx.execute(delete(Link).where(Link.hash.in_(over)))).rowcount

    async def _issue(
        self,
        tx: Transaction,
        purpose: Purpose,
        promise: Promise,
        lifetime: timedelta,
        issued_at: Any,
    ) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await tx.execute(
            insert(Link).values(
                hash=digest(token),
                account_id=promise.account_id,
                purpose=purpose,
                address=promise.address,
                issued_at=issued_at,
                expires_at=func.clock_timestamp() + lifetime,
            )
        )
        return token


def _unused(account_id: UUID, *purposes: Purpose) -> tuple[ColumnElement[bool], ...]:
    return (Link.account_id == account_id, Link.purpose.in_(purposes), Link.used_at.is_(None))


def _good(purpose: Purpose, token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Link.hash == digest(token),
        Link.purpose == purpose,
        Link.used_at.is_(None),
        Link.expires_at > func.clock_timestamp(),
    )
