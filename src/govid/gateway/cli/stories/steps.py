"""What people do in more than one story."""

from http import HTTPStatus

import httpx

from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.casting import Player
from govid.gateway.cli.stage import DEADLINE_SECONDS, Stage, StoryBroken

PROFILE = "/api/auth/profile"


async def open_account(stage: Stage, player: Player) -> None:
    """Let *player* register, sign in and be verified."""
    if stage.matches:
        await stage.introduce(player)
    await register(stage, player, claims=stage.matches)
    await status(stage, player, AccountStatus.VERIFIED)


async def register(stage: Stage, player: Player, *, claims: bool = False) -> None:
    """Let *player* register and sign in; with *claims* they say who they are, to be matched."""
    body = {**player.identity, **(player.claims if claims else {})}
    answer = await stage.call("POST", "/api/auth/register", body=body)
    expect(answer, HTTPStatus.CREATED, "registration")
    player.id = answer.json()["id"]
    stage.tell(f"Registered {player.email}: 201, {answer.json()['status']}")
    answer = await sign_in(stage, player)
    expect(answer, HTTPStatus.OK, "sign-in")
    player.token = answer.json()["access_token"]
    stage.tell("Signed in: 200")


async def sign_in(stage: Stage, player: Player) -> httpx.Response:
    """Let *player* sign in; return what is answered."""
    return await stage.call("POST", "/api/auth/login", body=player.credentials)


async def status(
    stage: Stage, player: Player, wanted: AccountStatus, seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until the profile of *player* has the status *wanted*."""
    await stage.until(
        PROFILE,
        lambda answer: answer.is_success and answer.json()["status"] == wanted,
        f"status {wanted}",
        token=player.token,
        seconds=seconds,
    )
    stage.tell(f"The profile of {player.email} says: {wanted}")


def expect(answer: httpx.Response, wanted: HTTPStatus, what: str) -> None:
    """Go on if *answer* has the status *wanted*.

    Raises:
        StoryBroken: it has another.
    """
    if answer.status_code != wanted:
        raise StoryBroken(f"{what} answered {answer.status_code} instead of {wanted.value}")
