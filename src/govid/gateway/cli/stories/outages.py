"""Scenario of a department outage."""

from http import HTTPStatus

import httpx

from govid.bus.contracts import IdentifierType, Topic
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.casting import DemoPerson
from govid.gateway.cli.stage import ScenarioFailed, ScenarioRunner
from govid.gateway.cli.stories import steps

PATIENTS = 4
FAULT = "personal-data"
"""A 500 response with personal data in its body, which govid must neither read nor log."""
DETECTED_SECONDS = 30.0
RECOVERED_SECONDS = 60.0
"""The circuit breaker stays open for fifteen seconds before it sends a probe."""


async def run_outage(runner: ScenarioRunner) -> None:
    """The NHS is unavailable while citizens register; all are verified after the outage."""
    patients = [runner.create_person(IdentifierType.NHS) for _ in range(PATIENTS)]
    taxpayer = runner.create_person(IdentifierType.NIN)
    for person in (*patients, taxpayer):
        await runner.add_to_department(person)
    await runner.configure_simulator("nhs", "fault", FAULT)
    runner.narrate("From now on the NHS answers every request with an error")
    try:
        for person in patients:
            await steps.register_and_sign_in(runner, person, claims=True)
        await runner.wait_until(
            "/health", _is_down, "the NHS is known to be down", seconds=DETECTED_SECONDS
        )
        runner.narrate(
            "The circuit breaker is open: /health reports nhs: down, and still answers 200"
        )
        await steps.register_and_sign_in(runner, taxpayer, claims=True)
        await steps.wait_for_status(runner, taxpayer, AccountStatus.VERIFIED)
        runner.narrate("HMRC still verifies. Accounts with an NHS number stay pending")
        for person in patients:
            await _require_pending(runner, person)
    finally:
        await runner.configure_simulator("nhs", "fault", "")
    runner.narrate("The NHS is back. The circuit breaker sends a probe within 15 s")
    for person in patients:
        await steps.wait_for_status(runner, person, AccountStatus.VERIFIED, RECOVERED_SECONDS)
        await runner.wait_for_event(Topic.VERIFICATION_RESULT, person)
    runner.narrate("All accounts are verified, and none had to request it again")


def _is_down(response: httpx.Response) -> bool:
    return response.is_success and response.json()["dependencies"]["nhs"] == "down"


async def _require_pending(runner: ScenarioRunner, person: DemoPerson) -> None:
    response = await runner.send_request("GET", steps.PROFILE, token=person.token)
    steps.require_status(response, HTTPStatus.OK, "the profile")
    if response.json()["status"] != AccountStatus.PENDING:
        raise ScenarioFailed(
            f"an account is {response.json()['status']} before the NHS has answered"
        )
