"""Stores consent requests: consents that were started and whose code is not yet exchanged.

PKCE verifiers are stored encrypted, states as digests. Times are the database's, so that all
replicas agree on them.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Transaction
from govid.hmrc.models import ConsentRequest
from govid.hmrc.seal import Seal

REQUEST_LIFETIME = timedelta(minutes=10)
"""The lifetime of HMRC's code."""
CALL_GRACE_PERIOD = timedelta(minutes=1)
"""Longer than a call to HMRC can take that starts at the last moment."""

VERIFIER_PURPOSE = b"proof"


class ConsentRequestRepository:
    """Stores at most one consent request for each account."""

    def __init__(self, autocommit: AsyncEngine, seal: Seal) -> None:
        """Encrypt with *seal*; each statement on *autocommit* commits by itself."""
        self._autocommit = autocommit
        self._seal = seal

    async def store(self, tx: Transaction, account_id: UUID, state: str, verifier: str) -> datetime:
        """Store a request in place of an earlier one; return when it expires."""
        sealed = self._seal.close(account_id, VERIFIER_PURPOSE, verifier.encode())
        statement = insert(ConsentRequest).values(
            account_id=account_id,
            state_digest=_digest(state),
            sealed_proof=sealed,
            expires_at=func.clock_timestamp() + REQUEST_LIFETIME,
        )
        statement = statement.on_conflict_do_update(
            index_elements=[ConsentRequest.account_id],
            set_={
                name: statement.excluded[name]
                for name in ("state_digest", "sealed_proof", "expires_at", "taken_at")
            },
        )
        begun = await tx.execute(statement.returning(ConsentRequest.expires_at))
        expires_at: datetime = begun.scalar_one()
        return expires_at

    async def consume(self, tx: Transaction, account_id: UUID, state: str) -> str | None:
        """Consume the account's request with *state*; return its verifier if it was valid.

        The row stays, marked as taken, until the consent is stored. A concurrent withdrawal deletes
        it.
        """
        consumed = await tx.execute(
            update(ConsentRequest)
            .where(
                *_request_of(account_id, state),
                ConsentRequest.taken_at.is_(None),
                ConsentRequest.expires_at > func.clock_timestamp(),
            )
            .values(taken_at=func.clock_timestamp())
            .returning(ConsentRequest.sealed_proof)
        )
        verifier = self._seal.find(account_id, VERIFIER_PURPOSE, consumed.scalar_one_or_none())
        return None if verifier is None else verifier.decode()

    async def complete(self, tx: Transaction, account_id: UUID, state: str) -> bool:
        """Delete the consumed request with *state*; tell whether it still existed."""
        deleted = await tx.execute(
            delete(ConsentRequest).where(
                *_request_of(account_id, state), ConsentRequest.taken_at.is_not(None)
            )
        )
        return bool(deleted.rowcount)

    async def delete_expired(self) -> None:
        """Delete expired requests."""
        # `now()` is constant in a statement: for `clock_timestamp()` the planner uses no index.
        statement = delete(ConsentRequest).where(
            ConsentRequest.expires_at < func.now() - CALL_GRACE_PERIOD
        )
        async with self._autocommit.connect() as connection:
            await connection.execute(statement)


def _digest(state: str) -> bytes:
    """Return the digest of a state that is stored, so that a stolen table is of no use."""
    return sha256(state.encode("utf-8", "surrogatepass")).digest()


def _request_of(account_id: UUID, state: str) -> tuple[Any, ...]:
    return ConsentRequest.account_id == account_id, ConsentRequest.state_digest == _digest(state)
