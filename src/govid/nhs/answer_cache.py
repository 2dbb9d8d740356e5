"""Caches responses of a department for some seconds; concurrent requests share one fetch."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlightCache(Generic[K, V]):
    """Caches values by key and starts one fetch for concurrent callers of the same key.

    A failed fetch is not cached; it raises for every caller that waited for it. Expired entries are
    removed on each access, so the size is bounded by the keys of the last seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Cache a value for *seconds*; *clock* must be monotonic."""
        self._seconds = seconds
        self._clock = clock
        self._entries: dict[K, tuple[float, asyncio.Task[V]]] = {}

    async def get(
        self, key: K, fetch: Callable[[], Awaitable[V]], *, max_age: float | None = None
    ) -> V:
        """Return the value of *key*; call *fetch* if none is cached.

        With *max_age*, a cached value that is older than so many seconds is fetched again.
        """
        now = self._clock()
        self._entries = {
            other: cached
            for other, cached in self._entries.items()
            if now < cached[0] + self._seconds and not _has_failed(cached[1])
        }
        cached = self._entries.get(key)
        if cached is None or (max_age is not None and now >= cached[0] + max_age):
            fetching = asyncio.create_task(_call(fetch))
            # All callers may have been cancelled. Reading the exception keeps asyncio from logging
            # it as never retrieved.
            fetching.add_done_callback(_has_failed)
            self._entries[key] = now, fetching
        # The cancellation of one caller must not cancel the fetch of the others.
        return await asyncio.shield(self._entries[key][1])


async def _call(fetch: Callable[[], Awaitable[V]]) -> V:
    return await fetch()


def _has_failed(task: asyncio.Task[V]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
