"""What becomes of locks, and of what was counted, when time passes and nobody tries."""

from govid.bus import Quotas, Transaction
from govid.bus.contracts import LoginLockExpired
from govid.identity.repository.throttle import Attempts


class Lapsing:
    """Ends locks whose time is over, and forgets what was counted long ago."""

    def __init__(self, attempts: Attempts, quotas: Quotas) -> None:
        """Look after the rows of *attempts* and *quotas*."""
        self._attempts = attempts
        self._quotas = quotas

    async def unlock(self, tx: Transaction, most: int) -> int:
        """End at most so many locks, unless an attempt has; tell of each once."""
        unlocked = await self._attempts.unlock(tx, most)
        for one in unlocked:
            tx.emit(
                LoginLockExpired(
                    flow=one.flow,
                    subject=one.bucket,
                    account_id=one.account_id,
                    timestamp=tx.now,
                )
            )
        return len(unlocked)

    async def forget(self, tx: Transaction, most: int) -> int:
        """Delete at most so many rows that say nothing any more, of either kind."""
        attempts = await self._attempts.forget(tx, most)
        return max(attempts, await self._quotas.forget(tx, most))
