"""Connection pools: pinned connections, single statements, and their common fail-over.

A checkout from SQLAlchemy's pool and the return cost as much as all statements of a handled event.
So connections of handlers stay checked out between two transactions (pinned). Only handlers use
their engine, so pinned connections make no other user wait.

After a fail-over new connections reach the new primary, while old sessions stay on a server that
has become a standby. Each of them would work for reads and fail for writes. So the first error
that shows this ends a *generation*: every pool closes connections of an older generation when they
are returned, or before they are lent again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Self

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from govid.bus.storage.connection import ConnectionFactory
from govid.bus.storage.errors import DatabaseFault, classify_database_error, find_sqlstate

log = logging.getLogger(__name__)


READ_ONLY = "25006"
MIN_GENERATION_SECONDS = 1.0
"""A read-only server is reconnected once in this time."""


class ConnectionGeneration:
    """The current generation number, with which pools compare that of a connection."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin with generation 0; *clock* is monotonic."""
        self.number = 0
        self._clock = clock
        self._ended_at = float("-inf")
        self._listeners: list[Callable[[], None]] = []

    def on_end(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever a generation has ended."""
        self._listeners.append(listener)

    def end(self) -> None:
        """Make all existing connections outdated, because one of them accepts no writes.

        At most once a second.
        """
        if self._clock() - self._ended_at >= MIN_GENERATION_SECONDS:
            self.replace_connections()
            log.warning("database.read_only", extra={"generation": self.number})

    def replace_connections(self) -> None:
        """Make all existing connections outdated: another server may have replaced theirs."""
        self._ended_at = self._clock()
        self.number += 1
        for listener in self._listeners:
            listener()

    def end_if_read_only(self, error: BaseException) -> None:
        """End the generation if *error* shows that the server accepts no writes."""
        if find_sqlstate(error) == READ_ONLY:
            self.end()


class PinnedConnectionPool:
    """Keeps connections of one engine checked out between transactions.

    Each has one user at a time. The most recently returned one is used first.
    """

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


class StatementPool:
    """An asyncpg pool that closes a connection as soon as an error shows that it is lost."""

    def __init__(self, pool: Any, generation: ConnectionGeneration) -> None:
        """Wrap *pool*; its connections end with their *generation*."""
        self._pool = pool
        self._generation = generation
        self._expiring: set[asyncio.Task[None]] = set()
        generation.on_end(self._expire)

    @classmethod
    async def create(
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
            reset=_skip_reset,
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
                self._generation.end_if_read_only(error)
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


async def _skip_reset(_connection: Any) -> None:
    """Skip the reset of a returned connection."""
