"""Stores one-time tokens of e-mail links, as digests, never the tokens."""

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from govid.bus import Transaction
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.models import OneTimeToken

TOKEN_BYTES = 32


def token_digest(token: str) -> bytes:
    """Return the digest that is stored instead of *token*."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class TokenPurpose(StrEnum):
    """What a one-time token allows."""

    RESET = "reset"
    EMAIL = "email"


class TokenTarget(RedactedStruct, frozen=True, kw_only=True):
    """The account of a one-time token, and the address that the token was sent to."""

    account_id: UUID
    address: str

    repr_members: ClassVar[tuple[str, ...]] = ("account_id",)


class OneTimeTokens:
    """One-time tokens: each is valid once and until it expires by the database's clock."""

    async def issue(
        self, tx: Transaction, purpose: TokenPurpose, target: TokenTarget, lifetime: timedelta
    ) -> str:
        """Return a new token, opaque and of 256 random bits."""
        return await self._insert_token(tx, purpose, target, lifetime, func.clock_timestamp())

    async def replace(
        self, tx: Transaction, purpose: TokenPurpose, target: TokenTarget, lifetime: timedelta
    ) -> str:
        """Return a new token that replaces all unused ones of the account with this *purpose*.

        A token for the same address keeps the time at which it was first issued. Otherwise the
        data export would tell an e-mail that is retried from one that is never sent.
        """
        result = await tx.execute(
            delete(OneTimeToken)
            .where(*_unused_conditions(target.account_id, purpose))
            .returning(OneTimeToken.address, OneTimeToken.issued_at)
        )
        first = min(
            (row.issued_at for row in result if row.address == target.address),
            default=func.clock_timestamp(),
        )
        return await self._insert_token(tx, purpose, target, lifetime, first)

    async def extend(
        self, tx: Transaction, purpose: TokenPurpose, target: TokenTarget, lifetime: timedelta
    ) -> bool:
        """Extend the valid token of *target* to *lifetime* from now; tell whether there is one."""
        now = func.clock_timestamp()
        result = await tx.execute(
            update(OneTimeToken)
            .where(
                *_unused_conditions(target.account_id, purpose),
                OneTimeToken.address == target.address,
                OneTimeToken.expires_at > now,
            )
            .values(expires_at=now + lifetime)
            .returning(OneTimeToken.account_id)
        )
        return result.first() is not None

    async def find(self, tx: Transaction, purpose: TokenPurpose, token: str) -> TokenTarget | None:
        """Return the target of *token* if it is valid. Does not consume or lock it."""
        statement = select(OneTimeToken.account_id, OneTimeToken.address).where(
            *_valid_conditions(purpose, token)
        )
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else TokenTarget(**row)

    async def consume(self, tx: Transaction, purpose: TokenPurpose, token: str) -> bool:
        """Consume *token*; tell whether it was valid. Of two concurrent calls, one consumes it."""
        result = await tx.execute(
            update(OneTimeToken)
            .where(*_valid_conditions(purpose, token))
            .values(used_at=func.clock_timestamp())
            .returning(OneTimeToken.account_id)
        )
        return result.first() is not None

    async def revoke(self, tx: Transaction, account_id: UUID, *purposes: TokenPurpose) -> None:
        """Delete the unused tokens of the account with one of these *purposes*."""
        await tx.execute(delete(OneTimeToken).where(*_unused_conditions(account_id, *purposes)))

    async def delete_expired(self, tx: Transaction, limit: int) -> int:
        """Delete at most *limit* expired tokens; return how many."""
        # `statement_timestamp()`, because the planner cannot use the index with
        # `clock_timestamp()`.
        expired = (
            select(OneTimeToken.hash)
            .where(OneTimeToken.expires_at < func.statement_timestamp())
            .limit(limit)
        )
        return (
            await tx.execute(delete(OneTimeToken).where(OneTimeToken.hash.in_(expired)))
        ).rowcount

    async def _insert_token(
        self,
        tx: Transaction,
        purpose: TokenPurpose,
        target: TokenTarget,
        lifetime: timedelta,
        issued_at: Any,
    ) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await tx.execute(
            insert(OneTimeToken).values(
                hash=token_digest(token),
                account_id=target.account_id,
                purpose=purpose,
                address=target.address,
                issued_at=issued_at,
                expires_at=func.clock_timestamp() + lifetime,
            )
        )
        return token


def _unused_conditions(
    account_id: UUID, *purposes: TokenPurpose
) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeToken.account_id == account_id,
        OneTimeToken.purpose.in_(purposes),
        OneTimeToken.used_at.is_(None),
    )


def _valid_conditions(purpose: TokenPurpose, token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeToken.hash == token_digest(token),
        OneTimeToken.purpose == purpose,
        OneTimeToken.used_at.is_(None),
        OneTimeToken.expires_at > func.clock_timestamp(),
    )
