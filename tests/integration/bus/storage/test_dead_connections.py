"""A dead connection is discarded: the pool never lends it again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.storage import connection
from tests.integration.bus.harness import CONTEXT, BusFixture, LedgerHandler, wait_until

TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

# The last where the driver was in the middle of a message, and is at a loss.
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@pytest.fixture
def one_connection(bus_settings: BusSettings) -> BusSettings:
    """Return settings of a bus whose requests have one connection only."""
    return msgspec.structs.replace(bus_settings, request_pool_size=1)


@pytest.fixture
async def silent_server() -> AsyncIterator[str]:
    """Return the URL of a server that takes connections and says nothing."""
    ended = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        yield f"postgresql://nobody@127.0.0.1:{server.sockets[0].getsockname()[1]}/nothing"
        ended.set()


async def terminate_all(database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    try:
        await other.execute(TERMINATE)
    finally:
        await other.close()


def closed(driver: asyncpg.Connection) -> Callable[[], Awaitable[bool]]:
    async def is_closed() -> bool:
        return bool(driver.is_closed())

    return is_closed


async def test_a_connection_that_died_in_the_pool_is_noticed_before_it_is_used(
    one_connection: BusSettings, database_url: str
) -> None:
    async with Database(one_connection) as pools:
        replica = BusFixture(one_connection, pools, LedgerHandler())
        async with replica.uow.begin(CONTEXT) as tx:
            driver = tx.driver
        await terminate_all(database_url)
        await wait_until(closed(driver))
        async with replica.uow.begin(CONTEXT) as tx:
            assert await tx.driver.fetchval("SELECT 1") == 1


async def test_a_connection_that_dies_in_a_transaction_does_not_go_back_to_the_pool(
    one_connection: BusSettings, database_url: str
) -> None:
    async with Database(one_connection) as pools:
        replica = BusFixture(one_connection, pools, LedgerHandler())
        with pytest.raises(LOST):
            async with replica.uow.begin(CONTEXT) as tx:
                await terminate_all(database_url)
                await tx.driver.execute("SELECT 1")
        async with replica.uow.begin(CONTEXT) as tx:
            assert await tx.driver.fetchval("SELECT 1") == 1


async def test_a_server_that_says_nothing_is_not_waited_for_any_longer_than_it_may(
    bus_settings: BusSettings,
    silent_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(connection, "MIN_HOST_SECONDS", 0.1)
    settings = msgspec.structs.replace(bus_settings, database_url=silent_server)
    with pytest.raises(connection.DatabaseUnreachable, match="no answer in time"):
        await Database(settings).open_pools()
    replica = BusFixture(settings, Database(settings), LedgerHandler())
    with pytest.raises(connection.DatabaseUnreachable, match="no answer in time"):
        async with replica.uow.begin(CONTEXT):
            pass
