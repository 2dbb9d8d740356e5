"""Consents that are being given: between the first step here and the code from HMRC.

Proofs are stored encrypted, states as digests. Times are the database's, so that all replicas agree
on them.
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

REQUEST_LIFE = timedelta(minutes=10)
"""As long as HMRC's own code is good."""
CALL_LIFE = timedelta(minutes=1)
"""Longer than a call to HMRC can take that began at the last moment."""

PROOF = b"proof"


class ConsentRequests:
    """What was begun: at most one for each account."""

    def __init__(self, singles: AsyncEngine, seal: Seal) -> None:
        """Keep them under *seal*; the statements of *singles* commit by themselves."""
        self._singles = singles
        self._seal = seal

    async def begin(self, tx: Transaction, account_id: UUID, state: str, proof: str) -> datetime:
        """Remember what was begun, in place of what was before; return until when it is good."""
        sealed = self._seal.close(account_id, PROOF, proof.encode())
        statement = insert(ConsentRequest).values(
            account_id=account_id,
            state_digest=_digest(state),
            sealed_proof=sealed,
            expires_at=func.clock_timestamp() + REQUEST_LIFE,
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

    async def take(self, tx: Transaction, account_id: UUID, state: str) -> str | None:
        """Use up what the account began with *state*; return its proof, if it was still good.

        It stays, marked, until it is settled: who withdraws meanwhile takes it away.
        """
        taken = await tx.execute(
            update(ConsentRequest)
            .where(
                *_begun(account_id, state),
                ConsentRequest.taken_at.is_(None),
                ConsentRequest.expires_at > func.clock_timestamp(),
            )
            .values(taken_at=func.clock_timestamp())
            .returning(ConsentRequest.sealed_proof)
        )
        proof = self._seal.find(account_id, PROOF, taken.scalar_one_or_none())
        return None if proof is None else proof.decode()

    async def settle(self, tx: Transaction, account_id: UUID, state: str) -> bool:
        """Delete what was taken with *state*; tell whether it was still wanted."""
        settled = await tx.execute(
            delete(ConsentRequest).where(
                *_begun(account_id, state), ConsentRequest.taken_at.is_not(None)
            )
        )
        return bool(settled.rowcount)

    async def tidy(self) -> None:
        """Delete what was begun and never brought back."""
        # `now` is the statement's own: the planner uses no index for a time that moves.
        statement = delete(ConsentRequest).where(ConsentRequest.expires_at < func.now() - CALL_LIFE)
        async with self._singles.connect() as connection:
            await connection.execute(statement)


def _digest(state: str) -> bytes:
    """Return what is stored of a state: nobody can use a stolen copy of the table."""
    return sha256(state.encode("utf-8", "surrogatepass")).digest()


def _begun(account_id: UUID, state: str) -> tuple[Any, ...]:
    return ConsentRequest.account_id == account_id, ConsentRequest.state_digest == _digest(state)
