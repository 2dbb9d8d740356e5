"""The NHS of a test, reached in every way that there is."""

import ssl
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest

from govid.nhs.simulator import ClientKey, NhsSimulator
from tests.departments.clock import MovingClock
from tests.departments.nhs.assertions import Asking
from tests.departments.nhs.target import WAYS, Target, Way, reached


@pytest.fixture(scope="session")
def client_key() -> ClientKey:
    """Return one key for all tests: making one takes a while."""
    return ClientKey()


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def simulator(client_key: ClientKey, clock: MovingClock) -> NhsSimulator:
    return NhsSimulator(clock=clock, key=client_key, is_limited=False)


@pytest.fixture(params=WAYS)
async def target(request: pytest.FixtureRequest, simulator: NhsSimulator) -> AsyncIterator[Target]:
    async with reached(cast("Way", request.param), simulator) as target:
        yield target


@pytest.fixture
async def simulated(simulator: NhsSimulator) -> AsyncIterator[Target]:
    """Yield the simulator in this process, for what can be asked of a simulator only."""
    async with reached("in process", simulator) as target:
        yield target


@pytest.fixture(scope="session")
def certificates() -> ssl.SSLContext:
    """Return the machine's authorities, read once for all tests: there are many."""
    return ssl.create_default_context()


@pytest.fixture
async def http(certificates: ssl.SSLContext) -> AsyncIterator[Any]:
    """Yield a function that opens plain clients: the sheets speak HTTP, and no adapter's code."""
    clients: list[httpx.AsyncClient] = []

    def opened(target: Target) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=target.transport, trust_env=False, verify=certificates)
        clients.append(client)
        return client

    yield opened
    for client in clients:
        await client.aclose()


@pytest.fixture
async def asking(target: Target, http: Any) -> Asking:
    return Asking(target, http(target))


@pytest.fixture
async def asking_simulator(simulated: Target, http: Any) -> Asking:
    return Asking(simulated, http(simulated))
