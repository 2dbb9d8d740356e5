"""Access tokens of HMRC, whose lifetimes are numbers of seconds."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from govid.bus.upstream import (
    CredentialsRejected,
    Department,
    RequestPolicy,
    TokenClient,
    in_process_transport,
)
from govid.hmrc.clients.oauth import ClientCredentials, build_token_client
from govid.hmrc.simulator import BASE_URL, HmrcSimulator
from tests.departments.clock import TickingClock


@pytest.fixture
def simulator() -> HmrcSimulator:
    return HmrcSimulator()


@pytest.fixture
async def token_client(simulator: HmrcSimulator) -> AsyncIterator[TokenClient]:
    department = Department("hmrc", transport=in_process_transport(simulator.application))
    credentials = ClientCredentials(
        client_id=simulator.client_id, client_secret=lambda: simulator.client_secret
    )
    yield build_token_client(department.create_client("oauth", BASE_URL), credentials)
    await department.close()


@pytest.mark.parametrize(("seconds", "issued"), [(11_519, 1), (11_520, 2)])
async def test_a_token_is_kept_for_four_fifths_of_four_hours(
    token_client: TokenClient, simulator: HmrcSimulator, seconds: float, issued: int
) -> None:
    clock = TickingClock()
    tokens = token_client.build_cache(clock)
    await tokens.get()
    clock.seconds = seconds
    await tokens.get()
    assert simulator.tokens.issued_count == issued


async def test_as_long_as_credentials_are_refused_it_is_not_reported_that_hmrc_is_back(
    simulator: HmrcSimulator,
) -> None:
    department = Department("hmrc", transport=in_process_transport(simulator.application))
    reported: list[bool] = []
    department.on_recovery(reported.append)
    credentials = ClientCredentials(client_id=simulator.client_id, client_secret=lambda: "another")
    api = department.create_client("oauth", BASE_URL, RequestPolicy(open_seconds=0))
    tokens = build_token_client(api, credentials).build_cache()
    with pytest.raises(CredentialsRejected):
        await tokens.get()
    with pytest.raises(CredentialsRejected):
        await tokens.get()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0, passed.set)
    await passed.wait()
    assert True not in reported
    assert department.state == "down"
    await department.close()


def test_credentials_show_nothing() -> None:
    shown = repr(ClientCredentials(client_id="me", client_secret=lambda: "canary", scope="read:x"))
    assert shown == f"<{ClientCredentials.__name__}>"
