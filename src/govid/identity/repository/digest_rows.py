"""Finds rows that name an identifier by an older digest, and rewrites them to the current one."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from govid.bus import Transaction

# Materialised, because a subquery whose column nobody reads would not be evaluated. The time is
# read after the last lock.
_LOCK = """
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key)
    SELECT clock_timestamp() FROM (SELECT count(*) FROM locked) AS all_of_them
"""

# The two tables are rewritten apart, because their rows are locked in another order: those of the
# history before an account is locked, those of attempts after it.
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
    """The digest under which rows about one identifier are written, and those of older rows."""

    current: str
    older: tuple[str, ...] = ()

    @property
    def lock_keys(self) -> list[int]:
        """The advisory locks of the identifier, ascending, so that two transactions never cross.

        Other replicas may write under an older form or key: one lock for each is shared with them.
        """
        return sorted({lock_key(digest) for digest in (self.current, *self.older)})

    @property
    def attempt_lock_keys(self) -> list[int]:
        """The advisory locks of the identifier's attempts, ascending.

        They differ from `lock_keys`, which are taken before an account is locked; these after it.
        """
        return sorted({lock_key(digest[::-1]) for digest in (self.current, *self.older)})


async def rewrite_history(tx: Transaction, digest: IdentifierDigest, key_id: str | None) -> None:
    """Give the current digest, made with the key *key_id*, to notices that have an older one.

    The caller holds `lock_keys`.
    """
    if digest.older:
        await tx.driver.execute(_REWRITE_HISTORY, digest.current, key_id, list(digest.older))


async def rewrite_attempts(tx: Transaction, digest: IdentifierDigest, key_id: str | None) -> None:
    """Give the current digest to attempts that have an older one and count.

    The caller holds `attempt_lock_keys`.
    """
    if digest.older:
        await tx.driver.execute(_REWRITE_ATTEMPTS, digest.current, key_id, list(digest.older))


async def take_locks(tx: Transaction, keys: Sequence[int]) -> datetime:
    """Take the advisory locks *keys*, in their order, until *tx* ends; return the time then."""
    now: datetime = await tx.driver.fetchval(_LOCK, list(keys))
    return now


def lock_key(digest: str) -> int:
    """Return the number of the advisory lock of a digest."""
    return int.from_bytes(bytes.fromhex(digest)[:8], "big", signed=True)
