"""C1: how govid asks for tokens, and how long it keeps them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from govid.bus import SystemClock
from govid.bus.shared.verification import IdentityClaim, VerificationOutcome
from govid.bus.upstream import (
    Department,
    RequestPolicy,
    TokenCache,
    UpstreamUnavailable,
    in_process_transport,
)
from govid.nhs.clients.factory import SIMULATED_PRACTICES, NhsConnection
from govid.nhs.clients.oauth import SigningCredentials, build_token_client
from govid.nhs.simulator import BASE_URL, NhsSimulator
from tests.departments.clock import TickingClock
from tests.departments.nhs.recording_transport import RecordingTransport
from tests.departments.nhs.test_practice_client import SENDER, free
from tests.departments.verification_contracts import build_facts

QUICK = RequestPolicy(total_seconds=5, first_backoff_seconds=0.001)
GARTON = build_facts("Bill", "Garton", "1946-06-23")


@pytest.fixture
def ticking() -> TickingClock:
    return TickingClock()


@pytest.fixture
def recorder(simulator: NhsSimulator) -> RecordingTransport:
    return RecordingTransport(in_process_transport(simulator.application))


@pytest.fixture
async def department(recorder: RecordingTransport) -> AsyncIterator[Department]:
    department = Department("nhs", transport=recorder)
    yield department
    await department.close()


@pytest.fixture
def credentials(simulator: NhsSimulator) -> SigningCredentials:
    return SigningCredentials(
        client_id=simulator.client_id, kid=simulator.kid, key=lambda: simulator.key.pem
    )


@pytest.fixture
def tokens(
    department: Department, credentials: SigningCredentials, ticking: TickingClock
) -> TokenCache:
    token_client = build_token_client(
        department.create_client("oauth", BASE_URL, QUICK), credentials, SystemClock()
    )
    return token_client.build_cache(ticking)


@pytest.mark.parametrize(("age", "issued"), [(479, 1), (480, 2)])
async def test_a_token_is_kept_for_eighty_percent_of_its_life(
    tokens: TokenCache, ticking: TickingClock, simulator: NhsSimulator, age: float, issued: int
) -> None:
    await tokens.get()
    ticking.seconds = age
    await tokens.get()
    assert simulator.tokens.issued_count == issued


async def test_fifty_who_ask_at_once_make_one_call(
    tokens: TokenCache, simulator: NhsSimulator
) -> None:
    found = await asyncio.gather(*(tokens.get() for _ in range(50)))
    assert (len(set(found)), simulator.tokens.issued_count) == (1, 1)


async def test_each_attempt_at_a_token_has_a_fresh_jti(
    tokens: TokenCache, recorder: RecordingTransport
) -> None:
    recorder.is_cut = True
    with pytest.raises(UpstreamUnavailable):
        await tokens.get()
    assert len(set(recorder.jtis())) == len(recorder.sent) == QUICK.attempts


async def test_each_attempt_at_a_record_has_the_same_request_id(
    department: Department, credentials: SigningCredentials, recorder: RecordingTransport
) -> None:
    registry = NhsConnection(
        department, BASE_URL, credentials, SystemClock(), policy=QUICK
    ).build_patient_registry()
    claim = IdentityClaim(number="9693632109", facts=GARTON)
    assert (await registry.verify(claim)).outcome is VerificationOutcome.MATCH
    recorder.is_cut = True
    assert (await registry.verify(claim)).outcome is VerificationOutcome.UNAVAILABLE
    first, *later = recorder.headers("X-Request-ID", "/personal-demographics/")
    assert (len(later), len(set(later))) == (QUICK.attempts, 1)
    assert first not in later


async def test_one_token_serves_the_registry_and_the_practices(
    department: Department, credentials: SigningCredentials, simulator: NhsSimulator
) -> None:
    connection = NhsConnection(department, BASE_URL, credentials, SystemClock(), policy=QUICK)
    claim = IdentityClaim(number="9693632109", facts=GARTON)
    await connection.build_patient_registry().verify(claim)
    await free(connection.build_practice_client(SENDER, SIMULATED_PRACTICES))
    assert simulator.tokens.issued_count == 1
