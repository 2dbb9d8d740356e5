"""Pins connections: they stay checked out of SQLAlchemy's pool between two transactions.

A checkout from that pool and the return cost as much as all statements of a handled event. Only
handlers use this engine, so pinned connections make no other user wait.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from govid.bus.storage.generation import ConnectionGeneration


class PinnedConnectionPool:
    """Lends the connections of one engine to one user at a time, the last returned one first."""

    def __init__(
        self,
        engine: AsyncEngine,
        size: int,
        wait_seconds: float,
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Lend at most *size* connections, as many as *engine* has; wait *wait_seconds* for one.

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
            TimeoutError: no connection was returned in time.
        """
        async with asyncio.timeout(self._wait_seconds):
            await self._free.acquire()
        try:
            generation, connection = await self._checkout()
            try:
                yield connection
            finally:
                if connection.invalidated:
                    await connection.close()
                else:
                    self._idle.append((generation, connection))
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close all connections that are not lent."""
        idle, self._idle = self._idle, []
        for _, connection in idle:
            await connection.close()
        await self.engine.dispose()

    async def _checkout(self) -> tuple[int, AsyncConnection]:
        while self._idle:
            generation, connection = self._idle.pop()
            if generation == self._generation.number:
                return generation, connection
            await connection.invalidate()
            await connection.close()
        # Read before connecting: if the generation changes meanwhile, the connection is outdated.
        generation = self._generation.number
        return generation, await self.engine.connect()
