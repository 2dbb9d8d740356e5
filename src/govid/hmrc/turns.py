"""One citizen's readings, one after the other: HMRC's calls are few, and there for everybody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

from govid.hmrc.errors import HmrcIsAway

WAIT_SECONDS = 10.0
"""As long as a call to HMRC may take."""


class Turns:
    """Lets each account in once at a time, in this process.

    All calls to HMRC queue for one limit, and a year of taxes is three of them. So at most three of
    one citizen's stand before anybody else's, be it a verification, however much they ask for.
    """

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """Let nobody wait for longer than *wait_seconds*."""
        self._wait_seconds = wait_seconds
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, account_id: UUID) -> AsyncIterator[None]:
        """Do what is inside when it is the turn of *account_id*.

        Raises:
            HmrcIsAway: it does not come in time.
        """
        lock = self._locks.setdefault(account_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lock.acquire()
        except TimeoutError:
            raise HmrcIsAway from None
        try:
            yield
        finally:
            lock.release()
