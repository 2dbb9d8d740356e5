"""Answers that may be asked for again."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Transaction
from govid.nhs.models import BookingAnswer

ANSWERS_LAST = timedelta(days=1)


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may come again: whose it is, under which key, and what it asks for."""

    account_id: UUID
    key: str
    digest: bytes


class Answers:
    """What was answered to bookings, kept for a day at least under the citizen's own keys."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read on *reads*, an engine whose statements commit by themselves."""
        self._reads = reads

    async def find(self, retry: Retry, tx: Transaction | None = None) -> tuple[bytes, str] | None:
        """Return the digest of the request that had this key, and its answer."""
        statement = select(BookingAnswer.request_digest, BookingAnswer.answer).where(
            BookingAnswer.account_id == retry.account_id, BookingAnswer.idempotency_key == retry.key
        )
        row: Any
        if tx is not None:
            row = (await tx.execute(statement)).one_or_none()
        else:
            async with self._reads.connect() as connection:
                row = (await connection.execute(statement)).one_or_none()
        return None if row is None else (row.request_digest, row.answer)

    async def keep(self, tx: Transaction, retry: Retry, answer: str) -> None:
        """Keep *answer*; the account's answers that are older than a day go."""
        await tx.execute(
            delete(BookingAnswer).where(
                BookingAnswer.account_id == retry.account_id,
                BookingAnswer.created_at <= tx.now - ANSWERS_LAST,
            )
        )
        await tx.execute(
            insert(BookingAnswer).values(
                account_id=retry.account_id,
                idempotency_key=retry.key,
                request_digest=retry.digest,
                answer=answer,
                created_at=tx.now,
            )
        )

    async def erase(self, tx: Transaction, account_id: UUID) -> None:
        """Delete every answer to the account."""
        await tx.execute(delete(BookingAnswer).where(BookingAnswer.account_id == account_id))
