"""The whole application over real HTTP, on a real database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from govid.gateway.settings import Settings
from tests.backends import postgres
from tests.http.client import Client
from tests.http.serving import demonstration, serving


@pytest.fixture(autouse=True, scope="session")
def _no_farewell() -> Iterator[None]:
    """Do not wait, at the end of each server, for a Kafka that is never there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("govid.bus.kafka.service.FINISH_SECONDS", 0.01)
        yield


@pytest.fixture
def overrides() -> dict[str, object]:
    """Return settings of a test's own."""
    return {}


@pytest.fixture
def settings(database_url: str, tmp_path: Path, overrides: dict[str, object]) -> Settings:
    """Return the settings of the test's own server."""
    return demonstration(database_url, tmp_path, **overrides)


@pytest.fixture
def server(settings: Settings) -> Iterator[str]:
    """Return the URL of a server of the test's own, on a database of its own."""
    with serving(settings) as url:
        yield url


@pytest.fixture
async def client(server: str) -> AsyncIterator[Client]:
    """Return a client of the test's own server."""
    async with httpx.AsyncClient(base_url=server, timeout=10) as http:
        yield Client(http)


@pytest.fixture(scope="session")
def shared_server(
    postgres_server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the URL of a server for all tests that leave nothing behind."""
    url = asyncio.run(postgres.clone(postgres_server, template))
    with serving(demonstration(url, tmp_path_factory.mktemp("shared"))) as address:
        yield address
    asyncio.run(postgres.drop(postgres_server, url))


@pytest.fixture
async def visitor(shared_server: str) -> AsyncIterator[Client]:
    """Return a client of the shared server."""
    async with httpx.AsyncClient(base_url=shared_server, timeout=10) as http:
        yield Client(http)


@pytest.fixture(scope="session")
def genuine(shared_server: str) -> str:
    """Return a good token of the shared server."""
    return asyncio.run(_token(shared_server))


async def _token(url: str) -> str:
    """Register a person and return their token."""
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        return await Client(http).citizen(email="genuine@example.com", identifierValue="CN731731C")
