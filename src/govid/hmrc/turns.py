"""Serialises the reads of one account, because HMRC's rate limit is shared by all citizens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

from govid.hmrc.errors import HmrcUnavailable

LOCK_WAIT_SECONDS = 10.0
"""The longest duration of a call to HMRC."""


class PerAccountLock:
    """A lock per account, in this process.

    All calls to HMRC share one rate limit, and reading a tax year takes three of them. So at most
    three calls of one citizen are queued before those of other citizens and verifications.
    """

    def __init__(self, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Let a request wait for at most *wait_seconds*."""
        self._wait_seconds = wait_seconds
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def acquire(self, account_id: UUID) -> AsyncIterator[None]:
        """Hold the lock of *account_id*.

        Raises:
            HmrcUnavailable: the lock is not free in time.
        """
        lock = self._locks.setdefault(account_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lock.acquire()
        except TimeoutError:
            raise HmrcUnavailable from None
        try:
            yield
        finally:
            lock.release()
