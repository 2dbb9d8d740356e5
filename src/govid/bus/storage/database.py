"""The connection pools of one process, separate so that none can exhaust another."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from govid.bus.settings import BusSettings
from govid.bus.storage.connection import STATEMENT_TIMEOUT_MS, ConnectionFactory
from govid.bus.storage.connection_failures import OutageLog
from govid.bus.storage.errors import DatabaseFault, classify_database_error
from govid.bus.storage.pools import ConnectionGeneration, PinnedConnectionPool, StatementPool
from govid.bus.storage.server_history import ServerHistory


def create_engine(factory: ConnectionFactory, **options: Any) -> AsyncEngine:
    """Return a SQLAlchemy engine whose connections *factory* opens.

    It is separate from the factory because commands connect without SQLAlchemy (I13).
    """
    return create_async_engine("postgresql+asyncpg://", async_creator=factory.connect, **options)


KEEPALIVES = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""With these the server notices within 11 seconds that a session with locks has lost its client."""
ALONG_INDEXES = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""Planner settings of the bus: its tables are nearly empty most of the time, and large after an
outage. A plan that was made for the empty table would read or sort all rows for each event.
"""
CLOSE_SECONDS = 1.0
SILENCE_SECONDS = STATEMENT_TIMEOUT_MS / 1000 + 1
_MADE_IN = "govid.generation"


class Database:
    """The pools of one process.

    `requests` serves HTTP and `bus` serves handlers, in transactions. `reads` (for HTTP: the
    authenticated read of every request) and `bus_reads` serve single statements that commit by
    themselves, on the driver's own connections. Sealer and retention of the audit log begin short
    transactions on `bus_reads`.
    """

    def __init__(self, settings: BusSettings) -> None:
        """Build the pools of *settings*; nothing connects before `open`."""
        self._settings = settings
        self.generation = ConnectionGeneration()
        self.outages = OutageLog()
        self.history = ServerHistory.of_url(settings.database_url)
        self.history.on_change(self.generation.replace_connections)
        self.requests = self._build_engine(settings.request_pool_size)
        self.bus = PinnedConnectionPool(
            self._build_engine(settings.bus_pool_size, ALONG_INDEXES),
            settings.bus_pool_size,
            STATEMENT_TIMEOUT_MS / 1000,
            self.generation,
        )
        self._reads: StatementPool | None = None
        self._bus_reads: StatementPool | None = None

    @property
    def reads(self) -> StatementPool:
        """The pool for single statements of requests."""
        return _require_open(self._reads)

    @property
    def bus_reads(self) -> StatementPool:
        """The bus's own pool for single statements."""
        return _require_open(self._bus_reads)

    async def open_pools(self) -> Self:
        """Open the pools of single statements; the others connect when they are first used."""
        self._reads = await self._build_statement_pool(self._settings.read_pool_size)
        self._bus_reads = await self._build_statement_pool(
            self._settings.bus_read_pool_size, ALONG_INDEXES
        )
        return self

    async def close_pools(self) -> None:
        """Close all pools, within one second: a server that is gone does not respond."""
        pools, self._reads, self._bus_reads = (self._reads, self._bus_reads), None, None
        await asyncio.gather(
            *(_close(pool) for pool in pools if pool is not None),
            _dispose(self.requests.dispose()),
            _dispose(self.bus.close()),
        )

    async def __aenter__(self) -> Self:
        """Open the pools for the length of a block."""
        return await self.open_pools()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the pools."""
        await self.close_pools()

    async def _build_statement_pool(
        self, size: int, planner: Mapping[str, str] = {}
    ) -> StatementPool:
        factory = self._build_factory(STATEMENT_TIMEOUT_MS / 1000, planner)
        return await StatementPool.create(factory, self.generation, size)

    def _build_engine(self, size: int, planner: Mapping[str, str] = {}) -> AsyncEngine:
        # The timeout for an unresponsive server; a responsive one cancels statements earlier.
        engine = create_engine(
            self._build_factory(SILENCE_SECONDS, planner),
            pool_size=size,
            max_overflow=0,
            # Only `UnitOfWork` begins and ends transactions (ADR-0005).
            isolation_level="AUTOCOMMIT",
            # Parameters are personal data, and the text of an error may reach a log (I9).
            hide_parameters=True,
            pool_timeout=STATEMENT_TIMEOUT_MS / 1000,
        )
        self._watch_connections(engine)
        return engine

    def _build_factory(
        self, command_timeout: float, planner: Mapping[str, str]
    ) -> ConnectionFactory:
        return ConnectionFactory(
            self._settings.database_url,
            settings=planner,
            command_timeout=command_timeout,
            on_result=self.outages.note_attempt,
        )

    def _watch_connections(self, engine: AsyncEngine) -> None:
        """Make SQLAlchemy's pool discard connections that are dead or of an old generation."""
        generation = self.generation

        def on_connect(_connection: Any, record: Any) -> None:
            record.info[_MADE_IN] = generation.number

        def on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
            # The pool then opens a new connection, and its user does not notice.
            if record.info.get(_MADE_IN) != generation.number:
                raise DisconnectionError("older than the last change of the primary")
            if connection.driver_connection.is_closed():
                raise DisconnectionError("closed by the server")

        def on_error(context: ExceptionContext) -> None:
            error = context.original_exception
            generation.end_if_read_only(error)
            if classify_database_error(error) is DatabaseFault.CONNECTION_LOST:
                context.is_disconnect = True
                # The other connections are checked on checkout, or end with their generation.
                context.invalidate_pool_on_disconnect = False

        event.listen(engine.sync_engine, "connect", on_connect)
        event.listen(engine.sync_engine, "checkout", on_checkout)
        event.listen(engine.sync_engine, "handle_error", on_error)


async def _close(pool: StatementPool) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _dispose(closing: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing


def _require_open(pool: StatementPool | None) -> StatementPool:
    if pool is None:
        raise RuntimeError("the database is not open")
    return pool
