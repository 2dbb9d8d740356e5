"""A connection that has died is thrown away: nobody gets it from the pool again."""

from collections.abc import Awaitable, Callable

import asyncpg
import msgspec
import pytest

from govid.bus import BusSettings, Database
from tests.integration.bus.harness import CAUSE, House, Ledger, until

TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def one_connection(bus_settings: BusSettings) -> BusSettings:
    """Return settings of a bus whose requests have one connection only."""
    return msgspec.structs.replace(bus_settings, request_pool_size=1)


async def terminate_all(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(TERMINATE)
    finally:
        await connection.close()


def closed(driver: asyncpg.Connection) -> Callable[[], Awaitable[bool]]:
    async def is_closed() -> bool:
        return bool(driver.is_closed())

    return is_closed


async def test_a_connection_that_died_in_the_pool_is_noticed_before_it_is_used(
    one_connection: BusSettings, database_url: str
) -> None:
    async with Database(one_connection) as database:
        house = House(one_connection, database, Ledger())
        async with house.uow.begin(CAUSE) as tx:
            driver = tx.driver
        await terminate_all(database_url)
        await until(closed(driver))
        async with house.uow.begin(CAUSE) as tx:
            assert await tx.driver.fetchval("SELECT 1") == 1


async def test_a_connection_that_dies_in_a_transaction_does_not_go_back_to_the_pool(
    one_connection: BusSettings, database_url: str
) -> None:
    async with Database(one_connection) as database:
        house = House(one_connection, database, Ledger())
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            async with house.uow.begin(CAUSE) as tx:
                await terminate_all(database_url)
                await tx.driver.execute("SELECT 1")
        async with house.uow.begin(CAUSE) as tx:
            assert await tx.driver.fetchval("SELECT 1") == 1
