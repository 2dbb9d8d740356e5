"""Fixtures of both departments' contract tests: a clock that moves, and plain clients."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.departments.clock import MovingClock


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture(scope="session")
def certificates() -> ssl.SSLContext:
    """Return the machine's authorities, read once for all tests: there are many."""
    return ssl.create_default_context()


@pytest.fixture
async def http(certificates: ssl.SSLContext) -> AsyncIterator[Any]:
    """Yield a function that opens plain HTTP clients, which use no code of govid's clients."""
    clients: list[httpx.AsyncClient] = []

    def opened(target: Any) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=target.transport, trust_env=False, verify=certificates)
        clients.append(client)
        return client

    yield opened
    for client in clients:
        await client.aclose()
