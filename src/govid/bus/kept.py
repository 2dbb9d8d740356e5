"""Connections that stay checked out between two transactions.

A checkout from SQLAlchemy's pool and the return to it cost a handled event as much as all its
statements. Nobody but handlers uses their engine, so nobody waits for what is kept here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class KeptConnections:
    """Lends the connections of one engine, one borrower each, and takes the last one first."""

    def __init__(self, engine: AsyncEngine, size: int, wait_seconds: float) -> None:
        """Lend at most *size* connections, as many as *engine* has; wait so long for one."""
        self.engine = engine
        self._free = asyncio.Semaphore(size)
        self._wait_seconds = wait_seconds
        self._idle: list[AsyncConnection] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for the length of the block.

        Raises:
            TimeoutError: none has become free in time.
        """
        async with asyncio.timeout(self._wait_seconds):
            await self._free.acquire()
        try:
            connection = self._idle.pop() if self._idle else await self.engine.connect()
            try:
                yield connection
            finally:
                if connection.invalidated:
                    await connection.close()
                else:
                    self._idle.append(connection)
        finally:
            self._free.release()

    async def close(self) -> None:
        """Let go of all that are not lent, and close them."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()
        await self.engine.dispose()
