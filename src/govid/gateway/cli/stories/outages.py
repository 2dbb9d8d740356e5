"""Scenario of a department outage."""

from http import HTTPStatus

import httpx

from govid.bus.contracts import IdentifierType, Topic
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.casting import Player
from govid.gateway.cli.stage import Stage, StoryBroken
from govid.gateway.cli.stories import steps

PATIENTS = 4
FAULT = "personal-data"
"""A 500 response with personal data in its body, which govid must neither read nor log."""
DETECTED_SECONDS = 30.0
RECOVERED_SECONDS = 60.0
"""The circuit breaker stays open for fifteen seconds before it sends a probe."""


async def outage(runner: Stage) -> None:
    """The NHS is unavailable while citizens register; all are verified after the outage."""
    patients = [runner.person(IdentifierType.NHS) for _ in range(PATIENTS)]
    taxpayer = runner.person(IdentifierType.NIN)
    for person in (*patients, taxpayer):
        await runner.introduce(person)
    await runner.rehearse("nhs", "fault", FAULT)
    runner.tell("From now on the NHS answers every request with an error")
    try:
        for person in patients:
            await steps.register(runner, person, claims=True)
        await runner.until(
            "/health", _is_down, "the NHS is known to be down", seconds=DETECTED_SECONDS
        )
        runner.tell("The circuit breaker is open: /health reports nhs: down, and still answers 200")
        await steps.register(runner, taxpayer, claims=True)
        await steps.status(runner, taxpayer, AccountStatus.VERIFIED)
        runner.tell("HMRC still verifies. Accounts with an NHS number stay pending")
        for person in patients:
            await _require_pending(runner, person)
    finally:
        await runner.rehearse("nhs", "fault", "")
    runner.tell("The NHS is back. The circuit breaker sends a probe within 15 s")
    for person in patients:
        await steps.status(runner, person, AccountStatus.VERIFIED, RECOVERED_SECONDS)
        await runner.passed(Topic.VERIFICATION_RESULT, person)
    runner.tell("All accounts are verified, and none had to request it again")


def _is_down(response: httpx.Response) -> bool:
    return response.is_success and response.json()["dependencies"]["nhs"] == "down"


async def _require_pending(runner: Stage, person: Player) -> None:
    response = await runner.call("GET", steps.PROFILE, token=person.token)
    steps.expect(response, HTTPStatus.OK, "the profile")
    if response.json()["status"] != AccountStatus.PENDING:
        raise StoryBroken(f"an account is {response.json()['status']} before the NHS has answered")
