"""Steps that several scenarios share: register, sign in, wait for a status."""

from http import HTTPStatus

import httpx

from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.casting import Player
from govid.gateway.cli.stage import DEADLINE_SECONDS, Stage, StoryBroken

PROFILE = "/api/auth/profile"


async def open_account(runner: Stage, person: Player) -> None:
    """Register *person*, sign in, and wait until the account is verified."""
    if runner.matches:
        await runner.introduce(person)
    await register(runner, person, claims=runner.matches)
    await status(runner, person, AccountStatus.VERIFIED)


async def register(runner: Stage, person: Player, *, claims: bool = False) -> None:
    """Register *person* and sign in; *claims* adds claimed facts for the department to match."""
    body = {**person.identity, **(person.claims if claims else {})}
    response = await runner.call("POST", "/api/auth/register", body=body)
    expect(response, HTTPStatus.CREATED, "registration")
    person.id = response.json()["id"]
    runner.tell(f"Registered {person.email}: 201, {response.json()['status']}")
    response = await sign_in(runner, person)
    expect(response, HTTPStatus.OK, "sign-in")
    person.token = response.json()["access_token"]
    runner.tell("Signed in: 200")


async def sign_in(runner: Stage, person: Player) -> httpx.Response:
    """Send the login request of *person* and return the response."""
    return await runner.call("POST", "/api/auth/login", body=person.credentials)


async def status(
    runner: Stage, person: Player, expected: AccountStatus, seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until the profile of *person* has the status *expected*.

    Raises:
        ScenarioFailed: it does not within *seconds*.
    """
    await runner.until(
        PROFILE,
        lambda response: response.is_success and response.json()["status"] == expected,
        f"status {expected}",
        token=person.token,
        seconds=seconds,
    )
    runner.tell(f"The profile of {person.email} has the status {expected}")


def expect(response: httpx.Response, expected: HTTPStatus, what: str) -> None:
    """Check that *response* has the status *expected*.

    Raises:
        ScenarioFailed: it has another status.
    """
    if response.status_code != expected:
        raise StoryBroken(f"{what} returned {response.status_code} instead of {expected.value}")
