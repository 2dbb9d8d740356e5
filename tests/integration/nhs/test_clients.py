"""The clients of the NHS that the settings select."""

import time
from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest
from msgspec import structs

from govid import nhs
from govid.bus import Database, Module, Outage, SystemClock, UnitOfWork
from govid.bus.shared.identifiers import ClaimedFacts
from govid.nhs import NhsSettings, NhsSimulator
from tests.departments.loopback import served
from tests.integration.departments import FixedClock, serving
from tests.integration.fact_matching import (
    StatedFacts,
    build_claim,
    verification_handler,
    verify_concurrently,
)
from tests.integration.nhs.conftest import SETTINGS

APPOINTMENT_REQUEST = {
    "patient_identifier": "943 476 5919",
    "requested_datetime": "2030-03-04T09:30:00",
    "doctor_specialty": "Cardiology",
}


GARTON = ClaimedFacts(given_name="Bill", family_name="Garton", date_of_birth=date(1946, 6, 23))


@pytest.fixture
def simulator() -> NhsSimulator:
    return NhsSimulator(is_limited=False)


@pytest.fixture
async def remote(simulator: NhsSimulator) -> AsyncIterator[NhsSettings]:
    """Yield the settings of an NHS on a loopback port."""
    async with served(simulator.application) as url:
        yield NhsSettings(
            registry="remote",
            accept_prototype_nhs=False,
            base_url=url,
            client_id=simulator.client_id,
            kid=simulator.kid,
            private_key=simulator.key.pem,
        )


@pytest.fixture
async def module(
    remote: NhsSettings, database: Database, uow: UnitOfWork, clock: FixedClock
) -> AsyncIterator[Module]:
    module = nhs.build(remote, database, uow, clock)
    yield module
    await module.stops[0]()


async def test_a_remote_nhs_is_well_until_something_is_heard(module: Module) -> None:
    assert module.states["nhs"]() == "ok"


async def test_no_one_is_verified_by_form_where_the_nhs_is_asked(module: Module) -> None:
    finding = await verification_handler(module).prepare(build_claim(module, "9693632109"))
    assert finding.outcome == "insufficient"


async def test_where_no_one_decides_about_appointments_none_is_taken(module: Module) -> None:
    async with serving(module, UUID(int=1)) as client:
        answer = await client.post("/api/nhs/appointments", json=APPOINTMENT_REQUEST)
    assert answer.status_code == 503


@pytest.mark.parametrize("key", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_key_that_is_none_stops_the_start(
    remote: NhsSettings, database: Database, uow: UnitOfWork, clock: FixedClock, key: bytes
) -> None:
    broken = structs.replace(remote, private_key=key)
    with pytest.raises(ValueError, match="GOVID_NHS_PRIVATE_KEY is no RSA private key"):
        nhs.build(broken, database, uow, clock)


def test_a_fault_that_is_none_stops_the_start(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    broken = structs.replace(SETTINGS, simulator_fault="404")
    with pytest.raises(ValueError, match="404"):
        nhs.build(broken, database, uow, clock)


def test_where_simulators_are_refused_the_module_does_not_start_with_one(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    broken = structs.replace(SETTINGS, may_be_simulated=False)
    with pytest.raises(RuntimeError, match="may not stand in"):
        nhs.build(broken, database, uow, clock)


@pytest.mark.parametrize(("may_be_simulated", "refused"), [(True, False), (False, True)])
async def test_an_nhs_that_confesses_to_be_simulated_is_valid_for_rehearsals_only(
    remote: NhsSettings, database: Database, uow: UnitOfWork, may_be_simulated: bool, refused: bool
) -> None:
    settings = structs.replace(remote, may_be_simulated=may_be_simulated)
    module = nhs.build(settings, database, uow, SystemClock(), facts=StatedFacts(GARTON))
    assert (await verify_concurrently(module, "9693632109") == [Outage]) is refused
    await module.stops[0]()


async def test_when_the_nhs_is_back_who_waited_for_it_is_notified(
    remote: NhsSettings,
    simulator: NhsSimulator,
    database: Database,
    uow: UnitOfWork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    module = nhs.build(
        remote,
        database,
        uow,
        SystemClock(),
        facts=StatedFacts(GARTON),
        on_recovered=lambda *news: reported.append(news[0]),
    )
    await verify_concurrently(module, "9693632109")
    simulator.faults.set_fault("503")
    await verify_concurrently(module, "9693632109", times=5)
    while_away = (module.states["nhs"](), list(reported))
    simulator.faults.set_fault("")
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    await verify_concurrently(module, "9693632109")
    assert while_away == ("down", [])
    assert (module.states["nhs"](), reported) == ("ok", [("nhs.verification", "nhs.booking")])
    await module.stops[0]()
