"""Pinned connections: lent to one handler at a time, discarded when they are broken."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from govid.bus.storage.connection import ConnectionFactory
from govid.bus.storage.database import create_engine
from govid.bus.storage.pools import PinnedConnectionPool

WHO = text("SELECT pg_backend_pid()")


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[PinnedConnectionPool]:
    """Return a pair of connections."""
    engine = create_engine(ConnectionFactory(database_url), pool_size=2, max_overflow=0)
    kept = PinnedConnectionPool(engine, 2, wait_seconds=0.1)
    yield kept
    await kept.close()


async def who(connection: AsyncConnection) -> int:
    return int((await connection.execute(WHO)).scalar_one())


async def test_the_last_one_returned_is_lent_again_without_a_checkout(
    two: PinnedConnectionPool,
) -> None:
    async with two.connect() as first:
        before = await who(first)
    async with two.connect() as second:
        assert second is first
        assert await who(second) == before


async def test_two_borrowers_never_share_one_and_a_third_waits(two: PinnedConnectionPool) -> None:
    async with two.connect() as first, two.connect() as second:
        assert await who(first) != await who(second)
        with pytest.raises(TimeoutError):
            await two.connect().__aenter__()
    async with two.connect() as again:
        assert again is first


async def test_one_that_was_given_up_is_replaced(two: PinnedConnectionPool) -> None:
    async with two.connect() as broken:
        before = await who(broken)
        await broken.invalidate()
    async with two.connect() as fresh:
        assert await who(fresh) != before


async def test_closed_ones_are_in_no_ones_hands(two: PinnedConnectionPool) -> None:
    async with two.connect() as first:
        await who(first)
    await two.close()
    assert first.closed
