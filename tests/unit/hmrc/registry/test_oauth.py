"""Tokens of HMRC, whose lives are counted in seconds."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from govid.bus.upstream import AuthFailed, Department, Policy, in_process
from govid.hmrc.registry.oauth import Credentials, TokenDesk
from govid.hmrc.simulator import BASE_URL, HmrcSimulator


class Ticking:
    """Counts seconds as a test says."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def simulator() -> HmrcSimulator:
    return HmrcSimulator()


@pytest.fixture
async def token_client(simulator: HmrcSimulator) -> AsyncIterator[TokenDesk]:
    department = Department("hmrc", transport=in_process(simulator.application))
    credentials = Credentials(
        client_id=simulator.client_id, client_secret=lambda: simulator.client_secret
    )
    yield TokenDesk(department.api("oauth", BASE_URL), credentials)
    await department.close()


@pytest.mark.parametrize(("seconds", "issued"), [(11_519, 1), (11_520, 2)])
async def test_a_token_is_kept_for_four_fifths_of_four_hours(
    token_client: TokenDesk, simulator: HmrcSimulator, seconds: float, issued: int
) -> None:
    clock = Ticking()
    tokens = token_client.cache(clock)
    await tokens.get()
    clock.seconds = seconds
    await tokens.get()
    assert simulator.tokens.issued == issued


async def test_as_long_as_credentials_are_refused_it_is_not_reported_that_hmrc_is_back(
    simulator: HmrcSimulator,
) -> None:
    department = Department("hmrc", transport=in_process(simulator.application))
    reported: list[bool] = []
    department.on_recovery(reported.append)
    credentials = Credentials(client_id=simulator.client_id, client_secret=lambda: "another")
    api = department.api("oauth", BASE_URL, Policy(rest_seconds=0))
    tokens = TokenDesk(api, credentials).cache()
    with pytest.raises(AuthFailed):
        await tokens.get()
    with pytest.raises(AuthFailed):
        await tokens.get()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0, passed.set)
    await passed.wait()
    assert True not in reported
    assert department.state == "down"
    await department.close()


def test_credentials_show_nothing() -> None:
    shown = repr(Credentials(client_id="me", client_secret=lambda: "canary", scope="read:x"))
    assert shown == f"<{Credentials.__name__}>"
