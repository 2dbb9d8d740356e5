"""Steps that several scenarios share: register, sign in, wait for a status."""

from http import HTTPStatus

import httpx

from govid.bus.shared.contract import AccountStatus
from govid.gateway.cli.demo.people import DemoPerson
from govid.gateway.cli.demo.runner import DEADLINE_SECONDS, ScenarioFailed, ScenarioRunner

PROFILE = "/api/auth/profile"


async def register_verified_account(runner: ScenarioRunner, person: DemoPerson) -> None:
    """Register *person*, sign in, and wait until the account is verified."""
    if runner.uses_external_simulators:
        await runner.add_to_department(person)
    await register_and_sign_in(runner, person, claims=runner.uses_external_simulators)
    await wait_for_status(runner, person, AccountStatus.VERIFIED)


async def register_and_sign_in(
    runner: ScenarioRunner, person: DemoPerson, *, claims: bool = False
) -> None:
    """Register *person* and sign in; *claims* adds claimed facts for the department to match."""
    body = {**person.registration, **(person.claimed_facts if claims else {})}
    response = await runner.send_request("POST", "/api/auth/register", body=body)
    require_status(response, HTTPStatus.CREATED, "registration")
    person.id = response.json()["id"]
    runner.narrate(f"Registered {person.email}: 201, {response.json()['status']}")
    response = await sign_in(runner, person)
    require_status(response, HTTPStatus.OK, "sign-in")
    person.token = response.json()["access_token"]
    runner.narrate("Signed in: 200")


async def sign_in(runner: ScenarioRunner, person: DemoPerson) -> httpx.Response:
    """Send the login request of *person* and return the response."""
    return await runner.send_request("POST", "/api/auth/login", body=person.credentials)


async def wait_for_status(
    runner: ScenarioRunner,
    person: DemoPerson,
    expected: AccountStatus,
    seconds: float = DEADLINE_SECONDS,
) -> None:
    """Wait until the profile of *person* has the status *expected*.

    Raises:
        ScenarioFailed: it does not within *seconds*.
    """
    await runner.wait_until(
        PROFILE,
        lambda response: response.is_success and response.json()["status"] == expected,
        f"status {expected}",
        token=person.token,
        seconds=seconds,
    )
    runner.narrate(f"The profile of {person.email} has the status {expected}")


def require_status(response: httpx.Response, expected: HTTPStatus, action: str) -> None:
    """Check that *response* has the status *expected*.

    Raises:
        ScenarioFailed: it has another status.
    """
    if response.status_code != expected:
        raise ScenarioFailed(
            f"{action} returned {response.status_code} instead of {expected.value}"
        )
