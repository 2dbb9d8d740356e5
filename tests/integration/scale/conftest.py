"""A database of ninety days with generated rows, made once a module."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from bench.scale.population import populate
from govid.bus import BusSettings
from tests.backends import postgres

ACCOUNTS = 900
PENDING = 500


@pytest.fixture(scope="module")
def ninety_days(postgres_server: str, template: str) -> Iterator[str]:
    """Return the URL of a database with accounts of ninety days."""
    url = asyncio.run(postgres.clone(postgres_server, template))
    settings = BusSettings(
        database_url=url,
        kafka_bootstrap_servers="127.0.0.1:1",
        pseudonym_key=b"a key for tests, 32 bytes or more",
    )
    asyncio.run(populate(settings, ACCOUNTS, pending=PENDING))
    yield url
    asyncio.run(postgres.drop(postgres_server, url))


@pytest.fixture
async def aged(ninety_days: str) -> AsyncIterator[Any]:
    """Return a connection whose plans are made without knowing any parameter."""
    connection = await asyncpg.connect(ninety_days)
    await connection.execute("SET plan_cache_mode = force_generic_plan; SET jit = off")
    yield connection
    await connection.close()
