"""What each department's module does with the department that its settings name."""

import time
from typing import Any

import pytest
from msgspec import structs

from govid.bus import Database, Module, Outage, SystemClock, UnitOfWork
from tests.integration.departments import FixedClock, published
from tests.integration.fact_matching import (
    StatedFacts,
    build_claim,
    verification_handler,
    verify_concurrently,
)
from tests.integration.verification.conftest import GARTON, JIM, VerifyingDepartment


@pytest.fixture
async def remote_module(
    department: VerifyingDepartment,
    remote: Any,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
) -> Any:
    module = department.build(remote, database, uow, clock)
    yield module
    await module.stops[0]()


async def test_without_the_department_a_verification_waits(
    department: VerifyingDepartment, database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    settings = structs.replace(department.settings, registry="off")
    module = department.build(settings, database, uow, clock)
    with pytest.raises(Outage) as outage:
        await verification_handler(module).prepare(build_claim(module, department.number))
    assert outage.value.dependency == department.name


@pytest.mark.parametrize("changes", [{"simulator_fault": "personal-data"}], ids=["away"])
@pytest.mark.parametrize(
    ("department", "facts"), [("nhs", GARTON), ("hmrc", JIM)], indirect=["department"]
)
async def test_a_department_that_is_away_is_an_outage_and_shows_in_health(
    module: Module, department: VerifyingDepartment, database: Database
) -> None:
    assert await verify_concurrently(module, department.number, times=6) == [Outage] * 6
    assert module.states[department.name]() == "down"
    assert await published(database) == []


async def test_a_department_that_is_simulated_is_marked_as_such(module: Module) -> None:
    assert module.states[module.name]() == "simulator"


async def test_a_remote_department_is_well_until_something_is_heard(remote_module: Module) -> None:
    assert remote_module.states[remote_module.name]() == "ok"


async def test_no_one_is_verified_by_form_where_the_department_is_asked(
    remote_module: Module, department: VerifyingDepartment
) -> None:
    claim = build_claim(remote_module, department.number)
    finding = await verification_handler(remote_module).prepare(claim)
    assert finding.outcome == "insufficient"
    assert remote_module.states[department.name]() == "ok"


@pytest.mark.parametrize(("may_be_simulated", "refused"), [(True, False), (False, True)])
async def test_a_department_that_confesses_to_be_simulated_is_valid_for_rehearsals_only(
    department: VerifyingDepartment,
    remote: Any,
    database: Database,
    uow: UnitOfWork,
    may_be_simulated: bool,
    refused: bool,
) -> None:
    settings = structs.replace(remote, may_be_simulated=may_be_simulated)
    facts = StatedFacts(department.facts)
    module = department.build(settings, database, uow, SystemClock(), facts=facts)
    assert (await verify_concurrently(module, department.number) == [Outage]) is refused
    await module.stops[0]()


@pytest.mark.parametrize(
    ("department", "changes", "error", "message"),
    [
        ("nhs", {"may_be_simulated": False}, RuntimeError, "may not stand in"),
        ("hmrc", {"may_be_simulated": False}, RuntimeError, "may not replace"),
        ("nhs", {"simulator_fault": "404"}, ValueError, "404"),
        ("hmrc", {"simulator_fault": "404"}, ValueError, "404"),
    ],
    indirect=["department"],
)
def test_a_simulator_that_is_refused_or_has_no_such_fault_stops_the_start(
    department: VerifyingDepartment,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    broken = structs.replace(department.settings, **changes)
    with pytest.raises(error, match=message):
        department.build(broken, database, uow, clock)


@pytest.mark.parametrize(
    ("department", "waiting"),
    [("nhs", ("nhs.verification", "nhs.booking")), ("hmrc", ("hmrc.verification",))],
    indirect=["department"],
)
async def test_when_the_department_is_back_who_waited_for_it_is_notified(
    department: VerifyingDepartment,
    remote: Any,
    simulator: Any,
    database: Database,
    uow: UnitOfWork,
    monkeypatch: pytest.MonkeyPatch,
    waiting: tuple[str, ...],
) -> None:
    reported: list[object] = []
    module = department.build(
        remote,
        database,
        uow,
        SystemClock(),
        facts=StatedFacts(department.facts),
        on_recovered=lambda *news: reported.append(news[0]),
    )
    state = module.states[department.name]
    await verify_concurrently(module, department.number)
    simulator.faults.set_fault("503")
    await verify_concurrently(module, department.number, times=5)
    while_away = (state(), list(reported))
    simulator.faults.set_fault("")
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    await verify_concurrently(module, department.number)
    assert while_away == ("down", [])
    assert (state(), reported) == ("ok", [waiting])
    await module.stops[0]()
