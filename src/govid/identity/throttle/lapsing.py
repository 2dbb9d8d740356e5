"""Ends expired lockouts and deletes old counters, as cleanup jobs."""

from govid.bus import QuotaCounters, Transaction
from govid.bus.contracts import LoginLockExpired
from govid.identity.repository.throttle import AttemptRepository


class ThrottleCleanup:
    """Expiry cleanup of lockouts, attempt counters and quotas."""

    def __init__(self, attempts: AttemptRepository, quotas: QuotaCounters) -> None:
        """Clean up the rows of *attempts* and *quotas*."""
        self._attempts = attempts
        self._quotas = quotas

    async def release_expired(self, tx: Transaction, limit: int) -> int:
        """End at most *limit* expired lockouts that no attempt has ended; emit one event each."""
        ended = await self._attempts.release_expired(tx, limit)
        for one in ended:
            tx.emit(
                LoginLockExpired(
                    flow=one.flow,
                    subject=one.bucket,
                    account_id=one.account_id,
                    timestamp=tx.now,
                )
            )
        return len(ended)

    async def delete_stale(self, tx: Transaction, limit: int) -> int:
        """Delete at most *limit* unused rows of either kind; return the larger number."""
        attempts = await self._attempts.delete_stale(tx, limit)
        return max(attempts, await self._quotas.delete_expired(tx, limit))
