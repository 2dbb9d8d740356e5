"""Keeps a department's answers for some seconds, and asks once for all who wait for the same."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class AnswerCache(Generic[K, V]):
    """Answers by key. A failure is not kept, and fails for all who waited for it.

    It holds what was asked in the last seconds only, so it is as large as that.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep an answer for *seconds* by *clock*, which never goes back."""
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[K, tuple[float, asyncio.Task[V]]] = {}

    async def get(
        self, key: K, ask: Callable[[], Awaitable[V]], *, newer_than: float | None = None
    ) -> V:
        """Return the answer of *key*, from *ask* if none is kept.

        A kept answer has to be *newer_than* so many seconds, if that is given.
        """
        now = self._clock()
        self._answers = {
            other: kept
            for other, kept in self._answers.items()
            if now < kept[0] + self._seconds and not _has_failed(kept[1])
        }
        kept = self._answers.get(key)
        if kept is None or (newer_than is not None and now >= kept[0] + newer_than):
            asking = asyncio.create_task(_awaited(ask))
            # Nobody may be left to hear of a failure, which asyncio would complain about.
            asking.add_done_callback(_has_failed)
            self._answers[key] = now, asking
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(self._answers[key][1])


async def _awaited(ask: Callable[[], Awaitable[V]]) -> V:
    return await ask()


def _has_failed(task: asyncio.Task[V]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
