"""Connections that stay checked out between two transactions.

A checkout from SQLAlchemy's pool and the return to it cost a handled event as much as all its
statements. Only handlers use their engine, so keeping its connections makes no other user wait.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from govid.bus.storage.generation import ConnectionGeneration


class PinnedConnectionPool:
    """Lends the connections of one engine, one borrower each, and takes the last one first."""

    def __init__(
        self,
        engine: AsyncEngine,
        size: int,
        wait_seconds: float,
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Lend at most *size* connections, as many as *engine* has; wait so long for one.

        A connection that is older than *generation* is closed instead of being lent again.
        """
        self.engine = engine
        self._free = asyncio.Semaphore(size)
        self._wait_seconds = wait_seconds
        self._generation = generation or ConnectionGeneration()
        self._idle: list[tuple[int, AsyncConnection]] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for the length of the block.

        Raises:
            TimeoutError: none has become free in time.
        """
        async with asyncio.timeout(self._wait_seconds):
            await self._free.acquire()
        try:
            made_in, connection = await self._take()
            try:
                yield connection
            finally:
                if connection.invalidated:
                    await connection.close()
                else:
                    self._idle.append((made_in, connection))
        finally:
            self._free.release()

    async def close(self) -> None:
        """Let go of all that are not lent, and close them."""
        idle, self._idle = self._idle, []
        for _, connection in idle:
            await connection.close()
        await self.engine.dispose()

    async def _take(self) -> tuple[int, AsyncConnection]:
        while self._idle:
            made_in, connection = self._idle.pop()
            if made_in == self._generation.number:
                return made_in, connection
            await connection.invalidate()
            await connection.close()
        # Before connecting: one that is being made while the generation changes belongs to the old.
        made_in = self._generation.number
        return made_in, await self.engine.connect()
