"""The NHS of a test, reached in every way that there is."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from govid.nhs.simulator import ClientKey, NhsSimulator
from tests.departments.clock import MovingClock
from tests.departments.nhs.bars_requests import BarsRequests, JanuaryClock
from tests.departments.nhs.target import WAYS, Target, Way, reached
from tests.departments.nhs.token_requests import NhsRequests


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


@pytest.fixture
async def asking(target: Target, http: Any) -> NhsRequests:
    return NhsRequests(target, http(target))


@pytest.fixture
async def asking_simulator(simulated: Target, http: Any) -> NhsRequests:
    return NhsRequests(simulated, http(simulated))


@pytest.fixture
def january() -> JanuaryClock:
    return JanuaryClock()


@pytest.fixture(params=["in process", "loopback"])
async def booker(
    request: pytest.FixtureRequest, client_key: ClientKey, january: JanuaryClock, http: Any
) -> AsyncIterator[BarsRequests]:
    """Yield who books at practices of that January, with a token that was given for it."""
    simulator = NhsSimulator(clock=january, key=client_key, is_limited=False)
    async with reached(cast("Way", request.param), simulator) as where:
        yield BarsRequests(NhsRequests(where, http(where)), simulator.tokens.issue(1e9))
