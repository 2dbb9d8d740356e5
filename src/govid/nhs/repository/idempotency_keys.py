"""Stores responses to bookings by idempotency key.

`nhs/appointments.py` compares the digest of a repeated request, and refuses a key that was used for
another one.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Transaction
from govid.nhs.models import BookingAnswer

RESPONSE_RETENTION = timedelta(days=1)


class IdempotentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request with an idempotency key: its account, its key, and the digest of its content."""

    account_id: UUID
    key: str
    digest: bytes


class IdempotencyKeys:
    """Responses to bookings by idempotency key, stored for at least one day."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read through *reads*, an engine in autocommit mode."""
        self._reads = reads

    async def fetch_response(
        self, request: IdempotentRequest, tx: Transaction | None = None
    ) -> tuple[bytes, str] | None:
        """Return the digest of the request that used this key, and its response."""
        statement = select(BookingAnswer.request_digest, BookingAnswer.answer).where(
            BookingAnswer.account_id == request.account_id,
            BookingAnswer.idempotency_key == request.key,
        )
        row: Any
        if tx is not None:
            row = (await tx.execute(statement)).one_or_none()
        else:
            async with self._reads.connect() as connection:
                row = (await connection.execute(statement)).one_or_none()
        return None if row is None else (row.request_digest, row.answer)

    async def store_response(
        self, tx: Transaction, request: IdempotentRequest, response: str
    ) -> None:
        """Store *response* and delete the account's responses that are older than a day."""
        await tx.execute(
            delete(BookingAnswer).where(
                BookingAnswer.account_id == request.account_id,
                BookingAnswer.created_at <= tx.now - RESPONSE_RETENTION,
            )
        )
        await tx.execute(
            insert(BookingAnswer).values(
                account_id=request.account_id,
                idempotency_key=request.key,
                request_digest=request.digest,
                answer=response,
                created_at=tx.now,
            )
        )

    async def delete_for_account(self, tx: Transaction, account_id: UUID) -> None:
        """Delete all stored responses of the account."""
        await tx.execute(delete(BookingAnswer).where(BookingAnswer.account_id == account_id))
