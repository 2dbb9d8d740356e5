"""Counts identifier-verification attempts and stores their evidence."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from govid.bus import Database, Transaction, uuid7
from govid.bus.events import EvidenceGathered, IdentifierType
from govid.bus.shared.contract import AccountStatus
from govid.identity.repository.identifier_digests import (
    IdentifierDigest,
    acquire_locks,
    rewrite_attempts,
)

MAX_ATTEMPTS = 2
"""The maximum of attempts for each account, and for each identifier over all accounts."""

# No other transaction counts the same attempts at this time: the account is locked or new in this
# transaction, and the advisory lock of the identifier's attempts is held. Accounts with the same
# identifier share that lock.
_RESERVE = f"""
    WITH rewritten AS (
        UPDATE identity.verification_attempt SET identifier_digest = $4, identifier_key_id = $6
        WHERE identifier_digest = ANY ($7) AND counts
    )
    INSERT INTO identity.verification_attempt
        (id, account_id, identifier_type, identifier_digest, identifier_key_id, has_facts,
         reserved_at)
    SELECT $1, $2, $3, $4, $6,
           EXISTS (SELECT FROM identity.claimed_facts WHERE account_id = $2), $5
    WHERE (SELECT count(*) FROM identity.verification_attempt
           WHERE account_id = $2 AND counts) < {MAX_ATTEMPTS}
      AND (SELECT count(*) FROM identity.verification_attempt
           WHERE (identifier_digest = $4 OR identifier_digest = ANY ($7)) AND counts)
          < {MAX_ATTEMPTS}
    RETURNING id
"""  # noqa: S608 - put together from constants
_SELECT_OPEN = """
    SELECT t.id, t.identifier_type, t.identifier_digest, t.has_facts,
           e.outcome AS evidence_outcome,
           coalesce(e.strength, 0) AS strength, coalesce(e.validity, 0) AS validity
    FROM identity.verification_attempt t
    LEFT JOIN LATERAL (
        SELECT outcome, strength, validity FROM identity.evidence
        WHERE attempt_id = t.id ORDER BY outcome = 'match' DESC LIMIT 1
    ) e ON true
    WHERE t.account_id = $1 AND t.outcome IS NULL
"""
_RECORD_OUTCOME = """
    UPDATE identity.verification_attempt SET outcome = $2, settled_at = clock_timestamp()
    WHERE id = $1 AND outcome IS NULL
"""
_RELEASE_OPEN = """
    UPDATE identity.verification_attempt
    SET outcome = 'without_effect', settled_at = clock_timestamp()
    WHERE account_id = ANY ($1) AND outcome IS NULL
"""
_COUNT_USED = """
    SELECT count(*) FILTER (WHERE account_id = $1) AS of_account,
           count(*) FILTER (WHERE identifier_digest = $2) AS of_identifier
    FROM identity.verification_attempt
    WHERE (account_id = $1 OR identifier_digest = $2) AND counts AND outcome IS NOT NULL
"""
_RESET_USED = """
    UPDATE identity.verification_attempt
    SET outcome = 'without_effect', settled_at = clock_timestamp()
    WHERE (account_id = $1 OR identifier_digest = $2) AND counts AND outcome IS NOT NULL
    RETURNING id
"""
_DETACH_ACCOUNT = """
    UPDATE identity.verification_attempt
    SET account_id = NULL, outcome = coalesce(outcome, 'without_effect'),
        settled_at = coalesce(settled_at, clock_timestamp())
    WHERE account_id = $1
"""
_DELETE_EVIDENCE = "DELETE FROM identity.evidence WHERE account_id = $1"
_INSERT_EVIDENCE = f"""
    INSERT INTO identity.evidence
        (request_id, account_id, attempt_id, identifier_type, outcome, method, strength, validity,
         transaction, contra_indicators, gathered_at)
    SELECT $1, a.id, $3, $4, $5, $6, $7, $8, $9, $10, $11
    FROM identity.account a WHERE a.id = $2 AND a.status <> '{AccountStatus.CLOSED}'
    ON CONFLICT DO NOTHING
    RETURNING request_id
"""  # noqa: S608 - put together from constants
_SELECT_ATTEMPTS = """
    SELECT identifier_type, reserved_at, settled_at, counts AS is_spent
    FROM identity.verification_attempt WHERE account_id = $1 ORDER BY reserved_at
"""
# Without the outcome, and without the transaction id of an exchange that ended in no match: some
# departments return one only if the number exists.
_SELECT_EVIDENCE = """
    SELECT identifier_type, method, strength, validity,
           CASE WHEN outcome = 'match' THEN transaction END AS transaction, gathered_at
    FROM identity.evidence WHERE account_id = $1 ORDER BY gathered_at
"""


class OpenAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt without a result yet, and what a department has found for it so far."""

    id: UUID
    identifier_type: str
    identifier_digest: str
    has_facts: bool
    evidence_outcome: str | None
    strength: int
    validity: int


class VerificationAttemptRepository:
    """Verification attempts. Each is reserved in the commit of its request, before any call."""

    def __init__(self, key_id: str | None = None) -> None:
        """Store *key_id*, the id of the key that digests are made with, beside new digests."""
        self._key_id = key_id

    async def reserve(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        digest: IdentifierDigest,
    ) -> bool:
        """Reserve an attempt for a locked or new account; return False if none is left.

        The account must have no open attempt: a unique index prevents a second one.
        """
        await acquire_locks(tx, digest.attempt_lock_keys)
        reserved = await tx.driver.fetchval(
            _RESERVE,
            uuid7(),
            account_id,
            identifier_type,
            digest.current,
            tx.now,
            self._key_id,
            list(digest.older),
        )
        return reserved is not None

    async def find_open(self, tx: Transaction, account_id: UUID) -> OpenAttempt | None:
        """Return the open attempt of the account, or None."""
        row = await tx.driver.fetchrow(_SELECT_OPEN, account_id)
        return None if row is None else OpenAttempt(**row)

    async def record_outcome(self, tx: Transaction, attempt_id: UUID, outcome: str) -> None:
        """Record the outcome of an attempt, which decides whether it counts."""
        await tx.driver.execute(_RECORD_OUTCOME, attempt_id, outcome)

    async def release_open(self, tx: Transaction, account_ids: Sequence[UUID]) -> None:
        """Release the open attempts of accounts that need no result any more."""
        await tx.driver.execute(_RELEASE_OPEN, list(account_ids))

    async def count_used(
        self, tx: Transaction, account_id: UUID, digest: IdentifierDigest | None
    ) -> tuple[int, int]:
        """Return the number of counted attempts of the account and of the identifier."""
        row = await tx.driver.fetchrow(_COUNT_USED, account_id, await self._current(tx, digest))
        return row["of_account"], row["of_identifier"]

    async def reset_used(
        self, tx: Transaction, account_id: UUID, digest: IdentifierDigest | None
    ) -> int:
        """Reset the counted attempts of the account and the identifier; return how many."""
        current = await self._current(tx, digest)
        return len(await tx.driver.fetch(_RESET_USED, account_id, current))

    async def _current(self, tx: Transaction, digest: IdentifierDigest | None) -> str | None:
        if digest is None:
            return None
        await acquire_locks(tx, digest.attempt_lock_keys)
        await rewrite_attempts(tx, digest, self._key_id)
        return digest.current

    async def detach_account(self, tx: Transaction, account_id: UUID) -> None:
        """Delete the account's evidence and its id in attempts; identifiers stay counted."""
        await tx.driver.execute(_DELETE_EVIDENCE, account_id)
        await tx.driver.execute(_DETACH_ACCOUNT, account_id)

    async def save_evidence(
        self, tx: Transaction, evidence: EvidenceGathered, attempt: OpenAttempt | None
    ) -> bool:
        """Store evidence; return whether it is new and of an account that is not closed."""
        stored = await tx.driver.fetchval(
            _INSERT_EVIDENCE,
            evidence.request_id,
            evidence.account_id,
            attempt.id if attempt else None,
            evidence.identifier_type,
            evidence.outcome,
            evidence.method,
            evidence.strength,
            evidence.validity,
            evidence.transaction,
            list(evidence.contra_indicators),
            evidence.timestamp,
        )
        return stored is not None


class VerificationHistory:
    """Reads the verification attempts and evidence of an account for the data export."""

    def __init__(self, database: Database) -> None:
        """Read from *database*."""
        self._database = database

    async def fetch_attempts(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """Return the attempts, the oldest first."""
        return [dict(row) for row in await self._database.reads.fetch(_SELECT_ATTEMPTS, account_id)]

    async def fetch_evidence(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """Return the evidence, the oldest first."""
        return [dict(row) for row in await self._database.reads.fetch(_SELECT_EVIDENCE, account_id)]
