"""The servers of the HTTP tests, and fixtures for attacks."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.attacks.tokens import SECRET
from tests.attacks.wire import Wire
from tests.backends import postgres
from tests.http.client import Client
from tests.http.conftest import (
    _no_farewell,
    _token,
    client,
    genuine,
    overrides,
    server,
    settings,
    shared_server,
    visitor,
)
from tests.http.serving import demonstration, serving

__all__ = [
    "_no_farewell",
    "client",
    "genuine",
    "overrides",
    "server",
    "settings",
    "shared_server",
    "visitor",
]


@pytest.fixture
def wire(shared_server: str) -> Wire:
    """Return a way to send anything at all to the shared server."""
    return Wire(shared_server)


@pytest.fixture(scope="session")
def shared_secret_server(
    postgres_server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the URL of a server whose key the attacker has."""
    url = asyncio.run(postgres.clone(postgres_server, template))
    folder = tmp_path_factory.mktemp("shared-secret")
    changes = {"GOVID_ALGORITHM": "HS256", "GOVID_SECRET_KEY": SECRET}
    with serving(demonstration(url, folder, **changes)) as address:
        yield address
    asyncio.run(postgres.drop(postgres_server, url))


@pytest.fixture(scope="session")
def shared_secret_token(shared_secret_server: str) -> str:
    """Return a good token of that server."""
    return asyncio.run(_token(shared_secret_server))


@pytest.fixture
async def insider(shared_secret_server: str) -> AsyncIterator[Client]:
    """Return a client of that server."""
    async with httpx.AsyncClient(base_url=shared_secret_server, timeout=10) as http:
        yield Client(http)
