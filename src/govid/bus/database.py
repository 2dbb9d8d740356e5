"""Connections to PostgreSQL: three pools, so that no part can starve another."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from govid.bus.kept import KeptConnections
from govid.bus.settings import BusSettings

STATEMENT_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
KEEPALIVES = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""Let the server notice within 11 seconds that a session which holds locks has lost its client."""
ALONG_INDEXES = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""What the bus asks of the planner: its tables are empty most of the time, and then hold whatever
an outage has left. A plan made for the empty table would read or sort all of that for each event.
"""
CONNECT_SECONDS = 5.0
"""How long to wait for a new connection. The driver's own minute would be as long as the silence of
a dispatcher whose leases are renewed meanwhile, so that nobody else does its work.
"""
CLOSE_SECONDS = 1.0
SILENCE_SECONDS = STATEMENT_TIMEOUT_MS / 1000 + 1


class Database:
    """The pools of one process.

    `requests` serves HTTP and `bus` serves handlers, in transactions. `reads` (for HTTP: the
    authenticated read of every request) and `bus_reads` serve single statements that commit by
    themselves, on the driver's own connections.
    """

    def __init__(self, settings: BusSettings) -> None:
        """Prepare pools for *settings*; nothing connects before `open`."""
        self._settings = settings
        self.requests = self._engine(settings.request_pool_size)
        self.bus = KeptConnections(
            self._engine(settings.bus_pool_size, ALONG_INDEXES),
            settings.bus_pool_size,
            STATEMENT_TIMEOUT_MS / 1000,
        )
        self._reads: Any = None
        self._bus_reads: Any = None

    @property
    def reads(self) -> Any:
        """The asyncpg pool for single statements (`asyncpg.Pool`, which carries no types)."""
        return _opened(self._reads)

    @property
    def bus_reads(self) -> Any:
        """The bus's own asyncpg pool for single statements."""
        return _opened(self._bus_reads)

    async def open(self) -> Self:
        """Open the pools of single statements; the others connect when they are first used."""
        self._reads = await self._pool(self._settings.read_pool_size)
        self._bus_reads = await self._pool(self._settings.bus_read_pool_size, ALONG_INDEXES)
        return self

    async def close(self) -> None:
        """Close all pools, within a bound: a server that is gone says no farewell."""
        pools, self._reads, self._bus_reads = (self._reads, self._bus_reads), None, None
        await asyncio.gather(
            *(_close(pool) for pool in pools if pool is not None),
            _dispose(self.requests.dispose()),
            _dispose(self.bus.close()),
        )

    async def __aenter__(self) -> Self:
        """Open the pools for the length of a block."""
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the pools."""
        await self.close()

    async def _pool(self, size: int, planner: Mapping[str, str] = {}) -> Any:
        return await asyncpg.create_pool(
            dsn(self._settings.database_url),
            min_size=1,
            max_size=size,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_TIMEOUT_MS / 1000,
            server_settings={**_server_settings("govid"), **planner},
            # Nothing to reset after single statements, and it would cost a round trip each.
            reset=_leave_as_it_is,
        )

    def _engine(self, size: int, planner: Mapping[str, str] = {}) -> AsyncEngine:
        return create_async_engine(
            sqlalchemy_url(self._settings.database_url),
            pool_size=size,
            max_overflow=0,
            # Transactions are begun and ended by `UnitOfWork`, and by nobody else (ADR-0005).
            isolation_level="AUTOCOMMIT",
            # Parameters are people's data, and an error's text goes to places (I9).
            hide_parameters=True,
            pool_timeout=STATEMENT_TIMEOUT_MS / 1000,
            connect_args={
                "server_settings": {**_server_settings("govid"), **planner},
                "timeout": CONNECT_SECONDS,
                # For a server that does not answer at all; one that does ends statements earlier.
                "command_timeout": SILENCE_SECONDS,
            },
        )


async def _close(pool: Any) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _dispose(closing: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing


async def _leave_as_it_is(_connection: Any) -> None:
    """Reset nothing."""


def _opened(pool: Any) -> Any:
    if pool is None:
        raise RuntimeError("the database is not open")
    return pool


def dsn(url: str) -> str:
    """Return *url* as asyncpg wants it, whatever driver it names."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def sqlalchemy_url(url: str) -> str:
    """Return *url* as SQLAlchemy wants it for asyncpg."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _server_settings(application: str) -> dict[str, str]:
    return {
        "application_name": application,
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        # A process frozen inside a transaction may not hold its locks beyond its leases (I4).
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "timezone": "UTC",
        # Compiling costs more than any statement of ours runs.
        "jit": "off",
    }
