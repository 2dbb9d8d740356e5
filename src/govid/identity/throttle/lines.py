"""Lets those who wait for the same thing in one process ask for it one after the other.

Fifty sign-ins to one account would else hold fifty connections, all waiting for one row.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_IN_LINE = 64
"""How many may stand in one line: a longer one would not move up in time anyway."""
LOOK_AGAIN_SECONDS = 0.1
"""How often the first one looks whether another process has made room."""


class TooLong(Exception):
    """The line is full, or did not move up in time."""


class _Line:
    """Those who wait for one key."""

    def __init__(self) -> None:
        self.people = 0
        self.head = asyncio.Lock()
        self.moved = asyncio.Event()


class Lines:
    """The lines of one process, one for each key that anybody waits for."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def standing(self, key: str, seconds: float) -> AsyncIterator["Turn"]:
        """Stand in line for *key*, at most so many *seconds*; run the block as its first.

        Raises:
            TooLong: the line is full, or did not move up in time.
        """
        line = self._lines.setdefault(key, _Line())
        if line.people >= MOST_IN_LINE:
            raise TooLong
        deadline = asyncio.get_running_loop().time() + seconds
        line.people += 1
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await line.head.acquire()
            except TimeoutError:
                raise TooLong from None
            try:
                yield Turn(line.moved, deadline)
            finally:
                line.head.release()
        finally:
            line.people -= 1
            if not line.people:
                del self._lines[key]

    def move(self, key: str) -> None:
        """Tell the first who waits for *key*, if anybody does, that there may be room now."""
        if (line := self._lines.get(key)) is not None:
            line.moved.set()


class Turn:
    """The place of the first in a line."""

    def __init__(self, moved: asyncio.Event, deadline: float) -> None:
        """Wait for *moved*, until *deadline* on the loop's clock."""
        self._moved = moved
        self._deadline = deadline

    async def wait(self) -> None:
        """Return when it is worth asking again.

        Raises:
            TooLong: the time is up.
        """
        clock = asyncio.get_running_loop().time
        if clock() >= self._deadline:
            raise TooLong
        soon = min(clock() + LOOK_AGAIN_SECONDS, self._deadline)
        try:
            async with asyncio.timeout_at(soon):
                await self._moved.wait()
        except TimeoutError:
            return
        finally:
            self._moved.clear()
