"""Verification by facts, by the adapter that asks the real HMRC as well as the simulated one."""

import time
from collections.abc import AsyncIterator
from datetime import date

import pytest
from msgspec import structs

from govid import hmrc
from govid.bus import Database, Module, Outage, SystemClock, UnitOfWork
from govid.bus.shared.identifiers import ClaimedFacts
from govid.hmrc import HmrcSettings
from govid.hmrc.simulator import SCOPE, HmrcSimulator
from tests.departments.loopback import served
from tests.integration.departments import FixedClock, published
from tests.integration.fact_matching import (
    StatedFacts,
    build_claim,
    verification_handler,
    verify_and_fetch,
    verify_concurrently,
)
from tests.integration.hmrc.conftest import SETTINGS

FREE = structs.replace(SETTINGS, are_limits_lifted=True)
JIM = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))
DORIS = ClaimedFacts(given_name="Doris", family_name="Departed", date_of_birth=date(1931, 2, 3))
UNWRITABLE = ClaimedFacts(given_name="李", family_name="李", date_of_birth=date(1948, 4, 23))


@pytest.fixture
def stated_facts() -> StatedFacts:
    return StatedFacts(JIM)


@pytest.fixture
def settings() -> HmrcSettings:
    return FREE


@pytest.fixture
async def module(
    settings: HmrcSettings,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
    stated_facts: StatedFacts,
) -> AsyncIterator[Module]:
    module = hmrc.build(settings, database, uow, clock, facts=stated_facts)
    yield module
    await module.stops[0]()


@pytest.mark.parametrize(
    "settings",
    [
        structs.replace(FREE, contract="pdv"),
        structs.replace(FREE, contract="individuals-2"),
        structs.replace(FREE, contract="individuals-1"),
    ],
    ids=lambda settings: settings.contract,
)
@pytest.mark.parametrize(
    ("nino", "answer"),
    [
        ("AA000003D", (True, None)),
        ("NA000799C", (False, "not_matched")),
        ("AB123456C", (False, "not_matched")),
    ],
)
async def test_facts_decide_by_every_contract(
    module: Module, uow: UnitOfWork, database: Database, nino: str, answer: tuple[bool, str | None]
) -> None:
    assert await verify_and_fetch(module, uow, database, nino) == [answer]


async def test_that_a_person_has_died_is_revealed_to_no_one(
    module: Module, uow: UnitOfWork, database: Database, stated_facts: StatedFacts
) -> None:
    stated_facts.facts = DORIS
    assert await verify_and_fetch(module, uow, database, "ZX000056A") == [(False, "not_matched")]


async def test_where_hmrc_cannot_be_asked_nothing_is_decided(
    module: Module, uow: UnitOfWork, database: Database, stated_facts: StatedFacts
) -> None:
    stated_facts.facts = UNWRITABLE
    assert await verify_and_fetch(module, uow, database, "AA000003D") == []


@pytest.mark.parametrize(
    "settings", [structs.replace(FREE, simulator_fault="personal-data")], ids=["away"]
)
async def test_an_hmrc_that_is_away_is_an_outage_and_shows_in_health(
    module: Module, database: Database
) -> None:
    assert await verify_concurrently(module, "AA000003D", times=6) == [Outage] * 6
    assert module.states["hmrc"]() == "down"
    assert await published(database) == []


def test_an_hmrc_that_is_simulated_is_marked_as_such(module: Module) -> None:
    assert module.states["hmrc"]() == "simulator"


@pytest.fixture
def simulator() -> HmrcSimulator:
    return HmrcSimulator(is_limited=False)


@pytest.fixture
async def remote(simulator: HmrcSimulator) -> AsyncIterator[HmrcSettings]:
    """Yield the settings of an HMRC on a loopback port."""
    async with served(simulator.application) as url:
        yield structs.replace(
            FREE,
            registry="remote",
            base_url=url,
            client_id=simulator.client_id,
            client_secret=simulator.client_secret,
            scope=SCOPE,
        )


async def test_no_one_is_verified_by_form_where_hmrc_is_asked(
    remote: HmrcSettings, database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    module = hmrc.build(remote, database, uow, clock)
    finding = await verification_handler(module).prepare(build_claim(module, "AB123456C"))
    assert finding.outcome == "insufficient"
    assert module.states["hmrc"]() == "ok"
    await module.stops[0]()


@pytest.mark.parametrize(("may_be_simulated", "refused"), [(True, False), (False, True)])
async def test_an_hmrc_that_confesses_to_be_simulated_is_valid_for_rehearsals_only(
    remote: HmrcSettings,
    database: Database,
    uow: UnitOfWork,
    stated_facts: StatedFacts,
    may_be_simulated: bool,
    refused: bool,
) -> None:
    settings = structs.replace(remote, may_be_simulated=may_be_simulated)
    module = hmrc.build(settings, database, uow, SystemClock(), facts=stated_facts)
    assert (await verify_concurrently(module, "AA000003D") == [Outage]) is refused
    await module.stops[0]()


def test_where_simulators_are_refused_the_module_does_not_start_with_one(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    with pytest.raises(RuntimeError, match="may not replace"):
        hmrc.build(structs.replace(FREE, may_be_simulated=False), database, uow, clock)


def test_a_fault_that_is_none_stops_the_start(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    with pytest.raises(ValueError, match="404"):
        hmrc.build(structs.replace(FREE, simulator_fault="404"), database, uow, clock)


async def test_when_hmrc_is_back_who_waited_for_it_is_notified(
    remote: HmrcSettings,
    simulator: HmrcSimulator,
    database: Database,
    uow: UnitOfWork,
    stated_facts: StatedFacts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    module = hmrc.build(
        remote,
        database,
        uow,
        SystemClock(),
        facts=stated_facts,
        on_recovered=lambda *news: reported.append(news[0]),
    )
    await verify_concurrently(module, "AA000003D")
    simulator.faults.set_fault("503")
    await verify_concurrently(module, "AA000003D", times=5)
    while_away = (module.states["hmrc"](), list(reported))
    simulator.faults.set_fault("")
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    await verify_concurrently(module, "AA000003D")
    assert while_away == ("down", [])
    assert (module.states["hmrc"](), reported) == ("ok", [("hmrc.verification",)])
    await module.stops[0]()
