"""C1: how govid asks for tokens, and how long it keeps them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from govid.bus import SystemClock
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.upstream import Department, Policy, TokenCache, Unavailable, in_process
from govid.nhs.ports import SIMULATED
from govid.nhs.registry.connection import Connection
from govid.nhs.registry.oauth import Credentials, TokenDesk
from govid.nhs.registry.protocol import Claim, Outcome
from govid.nhs.simulator import BASE_URL, NhsSimulator
from tests.departments.nhs.recorder import Recorder
from tests.departments.nhs.test_practices import SENDER
from tests.departments.nhs.test_registry import facts

QUICK = Policy(total_seconds=5, first_pause_seconds=0.001)
GARTON: ClaimedFacts = facts("Bill", "Garton", "1946-06-23")


class Seconds:
    """A clock that counts as it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def recorder(simulator: NhsSimulator) -> Recorder:
    return Recorder(in_process(simulator.application))


@pytest.fixture
async def department(recorder: Recorder) -> AsyncIterator[Department]:
    department = Department("nhs", transport=recorder)
    yield department
    await department.close()


@pytest.fixture
def credentials(simulator: NhsSimulator) -> Credentials:
    return Credentials(
        client_id=simulator.client_id, kid=simulator.kid, key=lambda: simulator.key.pem
    )


@pytest.fixture
def tokens(department: Department, credentials: Credentials, seconds: Seconds) -> TokenCache:
    token_client = TokenDesk(department.api("oauth", BASE_URL, QUICK), credentials, SystemClock())
    return token_client.cache(seconds)


@pytest.mark.parametrize(("age", "issued"), [(479, 1), (480, 2)])
async def test_a_token_is_kept_for_eighty_percent_of_its_life(
    tokens: TokenCache, seconds: Seconds, simulator: NhsSimulator, age: float, issued: int
) -> None:
    await tokens.get()
    seconds.now = age
    await tokens.get()
    assert simulator.tokens.issued == issued


async def test_fifty_who_ask_at_once_make_one_call(
    tokens: TokenCache, simulator: NhsSimulator
) -> None:
    found = await asyncio.gather(*(tokens.get() for _ in range(50)))
    assert (len(set(found)), simulator.tokens.issued) == (1, 1)


async def test_each_attempt_at_a_token_has_a_fresh_jti(
    tokens: TokenCache, recorder: Recorder
) -> None:
    recorder.is_cut = True
    with pytest.raises(Unavailable):
        await tokens.get()
    assert len(set(recorder.jtis())) == len(recorder.sent) == QUICK.attempts


async def test_each_attempt_at_a_record_has_the_same_request_id(
    department: Department, credentials: Credentials, recorder: Recorder
) -> None:
    registry = Connection(department, BASE_URL, credentials, SystemClock(), policy=QUICK).registry()
    claim = Claim(nhs_number="9693632109", facts=GARTON)
    assert (await registry.verify(claim)).outcome is Outcome.MATCH
    recorder.is_cut = True
    assert (await registry.verify(claim)).outcome is Outcome.UNAVAILABLE
    first, *later = recorder.headers("X-Request-ID", "/personal-demographics/")
    assert (len(later), len(set(later))) == (QUICK.attempts, 1)
    assert first not in later


async def test_one_token_serves_the_registry_and_the_practices(
    department: Department, credentials: Credentials, simulator: NhsSimulator
) -> None:
    connection = Connection(department, BASE_URL, credentials, SystemClock(), policy=QUICK)
    claim = Claim(nhs_number="9693632109", facts=GARTON)
    await connection.registry().verify(claim)
    await connection.practices(SENDER, SIMULATED).of_patient("2000099999", "9476719931")
    assert simulator.tokens.issued == 1
