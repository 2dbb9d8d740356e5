"""Runs single statements, which commit by themselves, on a pool of the driver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from govid.bus.storage.connection import ConnectionFactory
from govid.bus.storage.errors import DatabaseFault, classify_database_error
from govid.bus.storage.generation import ConnectionGeneration


class StatementPool:
    """An asyncpg pool that closes a connection as soon as an error shows that it is lost."""

    def __init__(self, pool: Any, generation: ConnectionGeneration) -> None:
        """Wrap *pool*; its connections end with their *generation*."""
        self._pool = pool
        self._generation = generation
        self._expiring: set[asyncio.Task[None]] = set()
        generation.on_end(self._expire)

    @classmethod
    async def open(
        cls, factory: ConnectionFactory, generation: ConnectionGeneration, size: int
    ) -> Self:
        """Open a pool of at most *size* connections of *factory*; one is opened at once."""

        async def connect(*_: Any, **options: Any) -> Any:
            return await factory.connect(**options)

        pool = await asyncpg.create_pool(
            # With a minimum the driver would log each attempt to reach it during an outage.
            min_size=0,
            max_size=size,
            connect=connect,
            # Nothing to reset after single statements, and it would cost a round trip each.
            reset=_leave_as_it_is,
        )
        opened = cls(pool, generation)
        async with opened.acquire():
            # An unreachable server is reported at the start.
            return opened

    async def fetch(self, query: str, *args: Any) -> Any:
        """Run *query* and return its rows."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """Run *query* and return its first row, or None."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Run *query* and return the first column of its first row, or None."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run *query* and return its command tag."""
        async with self.acquire() as connection:
            tag: str = await connection.execute(query, *args)
            return tag

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        """Lend a connection (`asyncpg.Connection`) for the length of the block."""
        async with self._pool.acquire() as connection:
            try:
                yield connection
            except Exception as error:
                self._generation.check_error(error)
                if classify_database_error(error) is DatabaseFault.CONNECTION_LOST:
                    connection.terminate()
                raise

    async def close(self) -> None:
        """Close the connections when they have been returned."""
        await self._pool.close()

    def terminate(self) -> None:
        """Drop the connections at once."""
        self._pool.terminate()

    def _expire(self) -> None:
        task = asyncio.create_task(self._pool.expire_connections())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)


async def _leave_as_it_is(_connection: Any) -> None:
    """Skip the reset of a returned connection."""
