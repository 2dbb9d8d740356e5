"""Retries parked keys at once when the department that they wait for is available again.

The backoff of an outage grows with its length, up to minutes. When the circuit breaker of the
department closes, all keys that wait for it are retried at once. A key that fails again waits
again.

A half-open circuit breaker needs one call as a probe. For it the key with the shortest remaining
pause is retried first.
"""

import asyncio
import logging
from collections.abc import Collection

from govid.bus.failures import QUERIES
from govid.bus.storage.database import Database
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE
from govid.bus.wake import WakeupHub

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class OutageProbe:
    """Ends the pauses of keys whose department is available again, or may be (outage probe)."""

    def __init__(self, database: Database, wakeups: WakeupHub) -> None:
        """Update the keys in *database*, and notify the subscribers through *wakeups*."""
        self._database = database
        self._wakeups = wakeups
        self._available: set[str] = set()
        self._possibly_available: set[str] = set()
        self._changed = asyncio.Event()

    def on_recovered(self, subscribers: Collection[str], *, is_certain: bool = True) -> None:
        """Note that the department of *subscribers* is available, or may be. Returns at once.

        If it is not certain, one key of each subscriber is retried as a probe.
        """
        (self._available if is_certain else self._possibly_available).update(subscribers)
        self._changed.set()

    async def run(self) -> None:
        """End pauses until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            available, self._available = self._available, set()
            possible, self._possibly_available = self._possibly_available - available, set()
            try:
                ended = await self._end_pauses(available)
                ended += sum([await self._end_pauses((name,), limit=1) for name in possible])
            except DATABASE_UNAVAILABLE as error:
                log.warning("recovery.postponed", extra={"error_class": type(error).__name__})
                await asyncio.sleep(RETRY_SECONDS)
                self.on_recovered(available)
                self.on_recovered(possible, is_certain=False)
                continue
            self._wakeups.notify(available | possible)
            log.info("recovery.done", extra={"records": ended})

    async def _end_pauses(self, subscribers: Collection[str], limit: int | None = None) -> int:
        query = QUERIES["end_outage_pauses"]
        ended: int = await self._database.bus_reads.fetchval(query, list(subscribers), limit)
        return ended
