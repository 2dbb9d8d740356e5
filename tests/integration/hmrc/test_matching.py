"""Verification by facts, by the adapter that asks the real HMRC as well as the simulated one."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest
from msgspec import structs

from govid import hmrc
from govid.bus import Database, Module, Outage, SystemClock, UnitOfWork
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import ClaimedFacts
from govid.hmrc import HmrcSettings
from govid.hmrc.simulator import SCOPE, HmrcSimulator
from tests.departments.loopback import served
from tests.integration.departments import (
    StandingClock,
    a_verification,
    handle,
    handler_of,
    published,
)
from tests.integration.hmrc.conftest import SETTINGS

NAME = "hmrc.verification"
FREE = structs.replace(SETTINGS, are_limits_lifted=True)
JIM = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))
DORIS = ClaimedFacts(given_name="Doris", family_name="Departed", date_of_birth=date(1931, 2, 3))
UNWRITABLE = ClaimedFacts(given_name="李", family_name="李", date_of_birth=date(1948, 4, 23))


class Said:
    """Everybody says the same of themselves."""

    def __init__(self, facts: ClaimedFacts) -> None:
        self.facts = facts

    async def of(self, account_id: UUID) -> ClaimedFacts | None:
        return self.facts


@pytest.fixture
def said() -> Said:
    return Said(JIM)


@pytest.fixture
def settings() -> HmrcSettings:
    return FREE


@pytest.fixture
async def module(
    settings: HmrcSettings, database: Database, uow: UnitOfWork, clock: StandingClock, said: Said
) -> AsyncIterator[Module]:
    module = hmrc.build(settings, database, uow, clock, facts=said)
    yield module
    await module.stops[0]()


async def answers(module: Module, uow: UnitOfWork, database: Database, nino: str) -> list[object]:
    """Verify *nino* for somebody; return what was said, but for the times."""
    delivery = a_verification(IdentifierType.NIN, nino, UUID(int=1))
    await handle(handler_of(module, NAME), delivery, uow)
    return [
        (event["isVerified"], event["error"])
        for name, event in await published(database)
        if name == "hmrc.verification.completed"
    ]


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
    assert await answers(module, uow, database, nino) == [answer]


async def test_that_somebody_has_died_is_told_nobody(
    module: Module, uow: UnitOfWork, database: Database, said: Said
) -> None:
    said.facts = DORIS
    assert await answers(module, uow, database, "ZX000056A") == [(False, "not_verifiable")]


async def test_where_hmrc_cannot_be_asked_nothing_is_decided(
    module: Module, uow: UnitOfWork, database: Database, said: Said
) -> None:
    said.facts = UNWRITABLE
    assert await answers(module, uow, database, "AA000003D") == []


@pytest.mark.parametrize(
    "settings", [structs.replace(FREE, simulator_fault="personal-data")], ids=["away"]
)
async def test_an_hmrc_that_is_away_is_an_outage_and_shows_in_health(
    module: Module, uow: UnitOfWork, database: Database
) -> None:
    handler = handler_of(module, NAME)
    delivery = a_verification(IdentifierType.NIN, "AA000003D", UUID(int=1))
    ended = await asyncio.gather(
        *(handler.prepare(delivery) for _ in range(6)), return_exceptions=True
    )
    assert [type(one) for one in ended] == [Outage] * 6
    assert module.states["hmrc"]() == "down"
    assert await published(database) == []


def test_an_hmrc_that_is_simulated_says_so(module: Module) -> None:
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


async def test_nobody_is_verified_by_form_where_hmrc_is_asked(
    remote: HmrcSettings, database: Database, uow: UnitOfWork, clock: StandingClock
) -> None:
    module = hmrc.build(remote, database, uow, clock)
    delivery = a_verification(IdentifierType.NIN, "AB123456C", UUID(int=1))
    assert (await handler_of(module, NAME).prepare(delivery)).outcome == "insufficient"
    assert module.states["hmrc"]() == "ok"
    await module.stops[0]()


@pytest.mark.parametrize(("may_be_simulated", "refused"), [(True, False), (False, True)])
async def test_an_hmrc_that_confesses_to_be_simulated_is_good_for_rehearsals_only(
    remote: HmrcSettings,
    database: Database,
    uow: UnitOfWork,
    said: Said,
    may_be_simulated: bool,
    refused: bool,
) -> None:
    settings = structs.replace(remote, may_be_simulated=may_be_simulated)
    module = hmrc.build(settings, database, uow, SystemClock(), facts=said)
    delivery = a_verification(IdentifierType.NIN, "AA000003D", UUID(int=1))
    asked = handler_of(module, NAME).prepare(delivery)
    (ended,) = await asyncio.gather(asked, return_exceptions=True)
    assert isinstance(ended, Outage) is refused
    await module.stops[0]()


def test_where_simulators_are_refused_the_module_does_not_start_with_one(
    database: Database, uow: UnitOfWork, clock: StandingClock
) -> None:
    with pytest.raises(RuntimeError, match="may not stand in"):
        hmrc.build(structs.replace(FREE, may_be_simulated=False), database, uow, clock)


def test_a_fault_that_is_none_stops_the_start(
    database: Database, uow: UnitOfWork, clock: StandingClock
) -> None:
    with pytest.raises(ValueError, match="404"):
        hmrc.build(structs.replace(FREE, simulator_fault="404"), database, uow, clock)


async def test_when_hmrc_is_back_who_waited_for_it_is_told(
    remote: HmrcSettings,
    simulator: HmrcSimulator,
    database: Database,
    uow: UnitOfWork,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    module = hmrc.build(remote, database, uow, SystemClock(), facts=said, recovered=told.append)
    handler = handler_of(module, NAME)
    delivery = a_verification(IdentifierType.NIN, "AA000003D", UUID(int=1))
    await handler.prepare(delivery)
    simulator.faults.set("503")
    failures = [handler.prepare(delivery) for _ in range(5)]
    await asyncio.gather(*failures, return_exceptions=True)
    while_away = (module.states["hmrc"](), list(told))
    simulator.faults.set("")
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    await handler.prepare(delivery)
    assert while_away == ("down", [])
    assert (module.states["hmrc"](), told) == ("ok", [(NAME,)])
    await module.stops[0]()
