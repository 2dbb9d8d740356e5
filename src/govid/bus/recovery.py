"""Ends the pauses of keys that wait for somebody who is back, or may be.

An outage may last, and the longer it does the longer are the pauses, up to minutes. When a breaker
closes they have lost their reason: all who wait are looked at again, and do not find out one by
one. Who fails again waits again.

A breaker that lets one call through to see has to be given one: as long as nobody knows, the key
that has the least to wait goes first.
"""

import asyncio
import logging
from collections.abc import Collection

from govid.bus.sql import QUERIES
from govid.bus.storage.database import Database
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE
from govid.bus.wake import Wake

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0


class Recovery:
    """Wakes the keys of subscribers whose department is back."""

    def __init__(self, database: Database, wake: Wake) -> None:
        """Find the keys in *database*, and ring by *wake*."""
        self._database = database
        self._wake = wake
        self._back: set[str] = set()
        self._perhaps: set[str] = set()
        self._news = asyncio.Event()

    def tell(self, subscribers: Collection[str], *, surely: bool = True) -> None:
        """Say that what *subscribers* wait for is there, *surely* or perhaps. Returns at once."""
        (self._back if surely else self._perhaps).update(subscribers)
        self._news.set()

    async def run(self) -> None:
        """End pauses until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            back, self._back = self._back, set()
            perhaps, self._perhaps = self._perhaps - back, set()
            try:
                woken = await self._end_pauses(back)
                woken += sum([await self._end_pauses((name,), most=1) for name in perhaps])
            except DATABASE_UNAVAILABLE as error:
                log.warning("recovery.postponed", extra={"error_class": type(error).__name__})
                await asyncio.sleep(AGAIN_SECONDS)
                self.tell(back)
                self.tell(perhaps, surely=False)
                continue
            self._wake.ring(back | perhaps)
            log.info("recovery.done", extra={"records": woken})

    async def _end_pauses(self, subscribers: Collection[str], most: int | None = None) -> int:
        query = QUERIES["recover"]
        woken: int = await self._database.bus_reads.fetchval(query, list(subscribers), most)
        return woken
