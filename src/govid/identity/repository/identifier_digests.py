"""Locks identifiers by their digests and rewrites older digests in stored rows."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from govid.bus import Transaction

# Materialised, because a subquery whose column is not read would not be evaluated. The time is read
# after the last lock.
_LOCK = """
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key)
    SELECT clock_timestamp() FROM (SELECT count(*) FROM locked) AS counted
"""

# The two tables are rewritten separately, because their rows are locked in a different order: those
# of the history before an account is locked, those of attempts after it.
_REWRITE_HISTORY = """
    UPDATE identity.life_event SET identifier_digest = $1, identifier_key_id = $2
    WHERE identifier_digest = ANY ($3)
"""
# Attempts that do not count are never looked up by their digest.
_REWRITE_ATTEMPTS = """
    UPDATE identity.verification_attempt SET identifier_digest = $1, identifier_key_id = $2
    WHERE identifier_digest = ANY ($3) AND counts
"""


class IdentifierDigest(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of an identifier in new rows, and the digests that older rows may have."""

    current: str
    older: tuple[str, ...] = ()

    @property
    def lock_keys(self) -> list[int]:
        """The advisory locks of the identifier, in ascending order to prevent deadlocks.

        Other replicas may write under an older form or key; one lock for each is shared with them.
        """
        return sorted({advisory_lock_key(digest) for digest in (self.current, *self.older)})

    @property
    def attempt_lock_keys(self) -> list[int]:
        """The advisory locks of the identifier's attempts, in ascending order.

        They differ from `lock_keys`: those are acquired before an account is locked, these after.
        """
        return sorted({advisory_lock_key(digest[::-1]) for digest in (self.current, *self.older)})


async def rewrite_history(tx: Transaction, digest: IdentifierDigest, key_id: str | None) -> None:
    """Rewrite older digests of history rows to the current one, made with the key *key_id*.

    The caller holds `lock_keys`.
    """
    if digest.older:
        await tx.driver.execute(_REWRITE_HISTORY, digest.current, key_id, list(digest.older))


async def rewrite_attempts(tx: Transaction, digest: IdentifierDigest, key_id: str | None) -> None:
    """Rewrite older digests of counted attempts to the current one, made with the key *key_id*.

    The caller holds `attempt_lock_keys`.
    """
    if digest.older:
        await tx.driver.execute(_REWRITE_ATTEMPTS, digest.current, key_id, list(digest.older))


async def acquire_locks(tx: Transaction, keys: Sequence[int]) -> datetime:
    """Acquire the advisory locks *keys* in order, until *tx* ends; return the time afterwards."""
    now: datetime = await tx.driver.fetchval(_LOCK, list(keys))
    return now


def advisory_lock_key(digest: str) -> int:
    """Return the advisory-lock key of a digest."""
    return int.from_bytes(bytes.fromhex(digest)[:8], "big", signed=True)
