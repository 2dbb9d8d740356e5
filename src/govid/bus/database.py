"""Connections to PostgreSQL: three pools, so that no part can starve another."""

from types import TracebackType
from typing import Any, Self

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from govid.bus.settings import BusSettings

STATEMENT_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000


class Database:
    """The pools of one process.

    `requests` serves HTTP, `bus` serves handlers and the relay, `reads` serves single statements
    that commit by themselves (the authenticated read of every request; the bus's own reads).
    """

    def __init__(self, settings: BusSettings) -> None:
        """Prepare pools for *settings*; nothing connects before `open`."""
        self._settings = settings
        self.requests = self._engine(settings.request_pool_size)
        self.bus = self._engine(settings.bus_pool_size)
        self._reads: Any = None

    @property
    def reads(self) -> Any:
        """The asyncpg pool for single statements (`asyncpg.Pool`, which carries no types)."""
        if self._reads is None:
            raise RuntimeError("the database is not open")
        return self._reads

    async def open(self) -> Self:
        """Open the pool of reads; the others connect when they are first used."""
        self._reads = await asyncpg.create_pool(
            dsn(self._settings.database_url),
            min_size=1,
            max_size=self._settings.read_pool_size,
            command_timeout=STATEMENT_TIMEOUT_MS / 1000,
            server_settings=_server_settings("govid"),
        )
        return self

    async def close(self) -> None:
        """Close all pools."""
        if self._reads is not None:
            await self._reads.close()
            self._reads = None
        await self.requests.dispose()
        await self.bus.dispose()

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

    def _engine(self, size: int) -> AsyncEngine:
        return create_async_engine(
            sqlalchemy_url(self._settings.database_url),
            pool_size=size,
            max_overflow=0,
            pool_timeout=STATEMENT_TIMEOUT_MS / 1000,
            connect_args={"server_settings": _server_settings("govid")},
        )


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
    }
