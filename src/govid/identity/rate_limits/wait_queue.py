"""Wait queues of one process: requests for the same key are admitted one at a time, in order.

Without them, fifty logins to one account would hold fifty connections that wait for one row.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_WAITING = 64
"""The maximum length of one queue; in a longer one, requests would time out anyway."""
POLL_SECONDS = 0.1
"""How often the first request checks whether another process has freed a slot."""


class QueueFull(Exception):
    """The queue is full, or the wait was too long."""


class _KeyQueue:
    """The requests that wait for one key."""

    def __init__(self) -> None:
        self.length = 0
        self.head = asyncio.Lock()
        self.wakeup = asyncio.Event()


class WaitQueue:
    """The wait queues of one process, one for each key with waiting requests."""

    def __init__(self) -> None:
        """Start without queues."""
        self._queues: dict[str, _KeyQueue] = {}

    @asynccontextmanager
    async def wait_for_slot(self, key: str, seconds: float) -> AsyncIterator["QueueSlot"]:
        """Wait at most *seconds* to be the first in the queue of *key*, then run the block.

        Raises:
            QueueFull: the queue is full, or the wait was too long.
        """
        queue = self._queues.setdefault(key, _KeyQueue())
        if queue.length >= MAX_WAITING:
            raise QueueFull
        deadline = asyncio.get_running_loop().time() + seconds
        queue.length += 1
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await queue.head.acquire()
            except TimeoutError:
                raise QueueFull from None
            try:
                yield QueueSlot(queue.wakeup, deadline)
            finally:
                queue.head.release()
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[key]

    def notify(self, key: str) -> None:
        """Wake the first request in the queue of *key*, if there is one."""
        if (queue := self._queues.get(key)) is not None:
            queue.wakeup.set()


class QueueSlot:
    """The first position in a queue."""

    def __init__(self, wakeup: asyncio.Event, deadline: float) -> None:
        """Wait for *wakeup* until *deadline* on the event loop's clock."""
        self._wakeup = wakeup
        self._deadline = deadline

    async def wait(self) -> None:
        """Return when a slot may be free, at the latest after the poll interval.

        Raises:
            QueueFull: the deadline has passed.
        """
        clock = asyncio.get_running_loop().time
        if clock() >= self._deadline:
            raise QueueFull
        next_poll = min(clock() + POLL_SECONDS, self._deadline)
        try:
            async with asyncio.timeout_at(next_poll):
                await self._wakeup.wait()
        except TimeoutError:
            return
        finally:
            self._wakeup.clear()
