"""Stores refresh tokens, as digests, never the tokens."""

import secrets
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select, update

from govid.bus import Transaction
from govid.identity.models import RefreshToken, Session
from govid.identity.repository.one_time_tokens import TOKEN_BYTES, token_digest


class TokenFamily(msgspec.Struct, frozen=True, kw_only=True):
    """The session and account of a refresh token and all its successors."""

    session_id: UUID
    account_id: UUID


class RefreshTokenRepository:
    """Refresh tokens. A used one is kept as long as its session, so that reuse is detected."""

    async def issue(
        self, tx: Transaction, session_id: UUID, *, client_id: str, expires_at: datetime
    ) -> str:
        """Return a new token for the session, opaque and of 256 random bits."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await tx.execute(
            insert(RefreshToken).values(
                hash=token_digest(token),
                session_id=session_id,
                client_id=client_id,
                expires_at=expires_at,
            )
        )
        return token

    async def find_family(self, tx: Transaction, token: str) -> TokenFamily | None:
        """Return the family of *token*, valid or not. Does not lock it."""
        statement = (
            select(RefreshToken.session_id, Session.account_id)
            .join(Session, Session.id == RefreshToken.session_id)
            .where(RefreshToken.hash == token_digest(token))
        )
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else TokenFamily(**row)

    async def consume(self, tx: Transaction, token: str, *, client_id: str) -> bool:
        """Consume *token*; tell whether it was valid: of this client, unused and not expired."""
        result = await tx.execute(
            update(RefreshToken)
            .where(
                RefreshToken.hash == token_digest(token),
                RefreshToken.client_id == client_id,
                RefreshToken.used_at.is_(None),
                RefreshToken.expires_at > func.clock_timestamp(),
            )
            .values(used_at=func.clock_timestamp())
            .returning(RefreshToken.session_id)
        )
        return result.first() is not None

    async def was_used(self, tx: Transaction, token: str, *, client_id: str) -> bool:
        """Tell whether this client has consumed *token* before."""
        statement = select(RefreshToken.session_id).where(
            RefreshToken.hash == token_digest(token),
            RefreshToken.client_id == client_id,
            RefreshToken.used_at.is_not(None),
        )
        return (await tx.execute(statement)).first() is not None
