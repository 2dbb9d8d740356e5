"""The HMRC of a test, reached in every way that there is."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from govid.hmrc.simulator import HmrcSimulator
from tests.departments.clock import MovingClock
from tests.departments.hmrc.api_requests import HmrcRequests
from tests.departments.hmrc.target import WAYS, Target, Way, reached


@pytest.fixture
def simulator(clock: MovingClock) -> HmrcSimulator:
    return HmrcSimulator(clock=clock, is_limited=False)


@pytest.fixture(params=WAYS)
async def target(request: pytest.FixtureRequest, simulator: HmrcSimulator) -> AsyncIterator[Target]:
    async with reached(cast("Way", request.param), simulator) as target:
        yield target


@pytest.fixture
async def simulated(simulator: HmrcSimulator) -> AsyncIterator[Target]:
    """Yield the simulator in this process, for what can be asked of a simulator only."""
    async with reached("in process", simulator) as target:
        yield target


@pytest.fixture
async def asking(target: Target, http: Any) -> HmrcRequests:
    return HmrcRequests(target, http(target))


@pytest.fixture
async def asking_simulator(simulated: Target, http: Any) -> HmrcRequests:
    return HmrcRequests(simulated, http(simulated))
