"""After all scenarios and faults of both departments, no personal data has left the database.

Against `govid dev` as a process of its own, which logs all that it can.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from govid.bus.events import IdentifierType
from govid.bus.upstream.simulation import InjectedFault
from govid.gateway.cli.demo import steps
from govid.gateway.cli.demo.command import run_scenarios
from govid.gateway.cli.demo.people import DemoPerson
from govid.gateway.cli.demo.runner import ScenarioRunner
from govid.gateway.cli.demo.scenarios import SCENARIOS
from govid.gateway.cli.output import Output
from govid.gateway.cli.target import Installation
from govid.gateway.settings import load_from_environment
from tests.integration.cli.leak_canaries import RecordedPeople, collect_visible_text, find_leaks
from tests.integration.cli.processes import Dev

RECOVERY_SECONDS = 60
OUTCOMES = {"200", "404", "rate_limited", "unavailable", "unusable"}
"""Of calls to departments, as metrics name them."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    reported = {
        "SIMULATE_DEATH_EVENT": "false",
        "GOVID_LOG_FORMAT": "json",
        "GOVID_LOG_LEVEL": "DEBUG",
        "GOVID_DEPARTMENT_LIMITS": "false",
    }
    with Dev(tmp_path / ".govid", **reported) as running:
        yield running


@pytest.fixture
def demo_people() -> RecordedPeople:
    return RecordedPeople()


@pytest.fixture
def stage(dev: Dev, demo_people: RecordedPeople, tmp_path: Path) -> ScenarioRunner:
    settings = load_from_environment(
        {"GOVID_DATA_DIR": tmp_path}, demonstration=True, env_file=None
    )
    place = Installation(
        settings=settings,
        running=None,
        database_url=dev.panel["postgres"],
        kafka_bootstrap_servers=dev.panel["kafka"],
    )
    return ScenarioRunner(dev.url, place, Output(as_json=True), people=demo_people)


async def live(stage: ScenarioRunner, demo_people: RecordedPeople) -> tuple[DemoPerson, DemoPerson]:
    """Run every scenario and every fault; return a verified and a blocked person."""
    await run_scenarios(["death-notification"], stage, Output(as_json=True))
    blocked = demo_people.people[-1]
    await run_scenarios(
        [name for name in SCENARIOS if name != "death-notification"], stage, Output(as_json=True)
    )
    async with stage:
        for fault in InjectedFault:
            await meet(stage, fault)
    return demo_people.people[-1], blocked


async def meet(stage: ScenarioRunner, fault: InjectedFault) -> None:
    """Verify a person of each department after *fault* has delayed it."""
    patient, taxpayer = (
        stage.create_person(IdentifierType.NHS),
        stage.create_person(IdentifierType.NIN),
    )
    await asyncio.gather(_meet(stage, fault, "nhs", patient), _meet(stage, fault, "hmrc", taxpayer))


async def _meet(
    stage: ScenarioRunner, fault: InjectedFault, department: str, demo_person: DemoPerson
) -> None:
    await stage.add_to_department(demo_person)
    before = await attempts(stage, department)
    await stage.configure_simulator(department, "fault", fault)
    await steps.register_and_sign_in(stage, demo_person, claims=True)
    async with asyncio.timeout(RECOVERY_SECONDS):
        while await attempts(stage, department) == before:
            await asyncio.sleep(0.1)
    await stage.configure_simulator(department, "fault", "")
    await steps.wait_for_status(stage, demo_person, "verified", RECOVERY_SECONDS)


async def attempts(stage: ScenarioRunner, department: str) -> list[str]:
    """Return the counts of calls to *department*, by operation and outcome."""
    text = (await stage.send_request("GET", "/metrics")).text
    name = f'govid_department_seconds_count{{department="{department}"'
    return [line for line in text.splitlines() if line.startswith(name)]


async def refusals(
    stage: ScenarioRunner, demo_person: DemoPerson, blocked: DemoPerson
) -> list[httpx.Response]:
    """Return the answers to everything that can be done badly with what is theirs."""
    token, number = demo_person.token, demo_person.identifier_value
    bad: dict[str, Any] = {**demo_person.registration, **demo_person.claimed_facts}
    get, post = partial(stage.send_request, "GET"), partial(stage.send_request, "POST")
    return [
        await post("/api/auth/register", body=bad),
        await post("/api/auth/register", body={**bad, "email": "another@example.com"}),
        await post("/api/auth/register", body={**bad, "identifierValue": f"{number}1"}),
        await post("/api/auth/register", body={**bad, "dateOfBirth": demo_person.postcode}),
        await post("/api/auth/verification", body=demo_person.claimed_facts, token=token),
        await post("/api/auth/login", body={**demo_person.credentials, "password": number}),
        await post("/api/auth/login", body=blocked.credentials),
        await post("/api/nhs/bookings", body={"reason": demo_person.postcode}, token=token),
        await get("/api/auth/profile", token=blocked.token),
        await get(f"/api/nhs/patients/{number}?{demo_person.family_name}", token=token),
        await get(f"/api/nhs/slots?specialty={demo_person.family_name}", token=token),
    ]


async def test_i9_nothing_personal_is_seen_outside_after_all_demos_and_faults(
    dev: Dev, stage: ScenarioRunner, demo_people: RecordedPeople
) -> None:
    verified, blocked = await live(stage, demo_people)
    async with stage:
        answers = await refusals(stage, verified, blocked)
    places = await collect_visible_text(dev)
    # What is looked for would be found, and every kind of trouble was met.
    assert verified.identifier_value in places["carried"]
    assert "upstream.attempted" in places["log"]
    assert {
        outcome for outcome in OUTCOMES if f'outcome="{outcome}"' in places["/metrics"]
    } == OUTCOMES
    assert [answer.status_code for answer in answers if answer.is_success] == []
    places = {**places, "carried": "", "problems": "\n".join(answer.text for answer in answers)}
    assert find_leaks(places, demo_people.personal_words()) == []
