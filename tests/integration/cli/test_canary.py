"""After all demos and all troubles of both departments, nothing personal stands anywhere outside.

Against `govid dev` as a process of its own, which logs all that it can.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from govid.bus.contracts import IdentifierType
from govid.bus.simulation import Fault
from govid.gateway.cli.casting import Player
from govid.gateway.cli.demo import play
from govid.gateway.cli.output import Output
from govid.gateway.cli.settings import Target
from govid.gateway.cli.stage import Stage
from govid.gateway.cli.stories import STORIES, steps
from govid.gateway.settings import load
from tests.integration.cli.canaries import Flock, found, side_doors
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
def demo_people() -> Flock:
    return Flock()


@pytest.fixture
def stage(dev: Dev, demo_people: Flock, tmp_path: Path) -> Stage:
    settings = load({"GOVID_DATA_DIR": tmp_path}, demonstration=True, env_file=None)
    place = Target(
        settings=settings,
        running=None,
        database_url=dev.panel["postgres"],
        kafka_bootstrap_servers=dev.panel["kafka"],
    )
    return Stage(dev.url, place, Output(as_json=True), casting=demo_people)


async def live(stage: Stage, demo_people: Flock) -> tuple[Player, Player]:
    """Play every story and meet every fault; return somebody verified, and somebody blocked."""
    await play(["death-notification"], stage, Output(as_json=True))
    blocked = demo_people.people[-1]
    await play(
        [name for name in STORIES if name != "death-notification"], stage, Output(as_json=True)
    )
    async with stage:
        for fault in Fault:
            await meet(stage, fault)
    return demo_people.people[-1], blocked


async def meet(stage: Stage, fault: Fault) -> None:
    """Let somebody of each department meet *fault*, and be verified when it is over."""
    patient, taxpayer = stage.person(IdentifierType.NHS), stage.person(IdentifierType.NIN)
    await asyncio.gather(_meet(stage, fault, "nhs", patient), _meet(stage, fault, "hmrc", taxpayer))


async def _meet(stage: Stage, fault: Fault, department: str, demo_person: Player) -> None:
    await stage.introduce(demo_person)
    before = await attempts(stage, department)
    await stage.rehearse(department, "fault", fault)
    await steps.register(stage, demo_person, claims=True)
    async with asyncio.timeout(RECOVERY_SECONDS):
        while await attempts(stage, department) == before:
            await asyncio.sleep(0.1)
    await stage.rehearse(department, "fault", "")
    await steps.status(stage, demo_person, "verified", RECOVERY_SECONDS)


async def attempts(stage: Stage, department: str) -> list[str]:
    """Return the counts of calls to *department*, by operation and outcome."""
    text = (await stage.call("GET", "/metrics")).text
    name = f'govid_department_seconds_count{{department="{department}"'
    return [line for line in text.splitlines() if line.startswith(name)]


async def refusals(stage: Stage, demo_person: Player, blocked: Player) -> list[httpx.Response]:
    """Return the answers to everything that can be done badly with what is theirs."""
    token, number = demo_person.token, demo_person.identifier_value
    bad: dict[str, Any] = {**demo_person.identity, **demo_person.claims}
    get, post = partial(stage.call, "GET"), partial(stage.call, "POST")
    return [
        await post("/api/auth/register", body=bad),
        await post("/api/auth/register", body={**bad, "email": "another@example.com"}),
        await post("/api/auth/register", body={**bad, "identifierValue": f"{number}1"}),
        await post("/api/auth/register", body={**bad, "dateOfBirth": demo_person.postcode}),
        await post("/api/auth/verification", body=demo_person.claims, token=token),
        await post("/api/auth/login", body={**demo_person.credentials, "password": number}),
        await post("/api/auth/login", body=blocked.credentials),
        await post("/api/nhs/bookings", body={"reason": demo_person.postcode}, token=token),
        await get("/api/auth/profile", token=blocked.token),
        await get(f"/api/nhs/patients/{number}?{demo_person.family_name}", token=token),
        await get(f"/api/nhs/slots?specialty={demo_person.family_name}", token=token),
    ]


async def test_i9_nothing_personal_is_seen_outside_after_all_demos_and_faults(
    dev: Dev, stage: Stage, demo_people: Flock
) -> None:
    verified, blocked = await live(stage, demo_people)
    async with stage:
        answers = await refusals(stage, verified, blocked)
    places = await side_doors(dev)
    # What is looked for would be found, and every kind of trouble was met.
    assert verified.identifier_value in places["carried"]
    assert "upstream.attempted" in places["log"]
    assert {
        outcome for outcome in OUTCOMES if f'outcome="{outcome}"' in places["/metrics"]
    } == OUTCOMES
    assert [answer.status_code for answer in answers if answer.is_success] == []
    places = {**places, "carried": "", "problems": "\n".join(answer.text for answer in answers)}
    assert found(places, demo_people.words()) == []
