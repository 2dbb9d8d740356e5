"""The story of a department that is away for a while."""

from http import HTTPStatus

import httpx

from govid.bus.contracts import IdentifierType, Topic
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.casting import Player
from govid.gateway.cli.stage import Stage, StoryBroken
from govid.gateway.cli.stories import steps

PATIENTS = 4
TROUBLE = "personal-data"
"""An error of the department's own (500), with somebody's data in its body: nobody reads that."""
NOTICED_SECONDS = 30.0
BACK_SECONDS = 60.0
"""A breaker rests for fifteen seconds before it lets one call through to see."""


async def outage(stage: Stage) -> None:
    """The NHS is away while people register; nobody notices, and all are verified afterwards."""
    patients = [stage.person(IdentifierType.NHS) for _ in range(PATIENTS)]
    taxpayer = stage.person(IdentifierType.NIN)
    for player in (*patients, taxpayer):
        await stage.introduce(player)
    await stage.rehearse("nhs", "fault", TROUBLE)
    stage.tell("From now on the NHS answers every call with an error of its own")
    try:
        for player in patients:
            await steps.register(stage, player, claims=True)
        await stage.until(
            "/health", _is_down, "the NHS is known to be down", seconds=NOTICED_SECONDS
        )
        stage.tell("Calls to the NHS have stopped: /health says nhs: down, and 200 all the same")
        await steps.register(stage, taxpayer, claims=True)
        await steps.status(stage, taxpayer, AccountStatus.VERIFIED)
        stage.tell("HMRC verifies as ever. Those who registered with the NHS wait")
        for player in patients:
            await _still_waits(stage, player)
    finally:
        await stage.rehearse("nhs", "fault", "")
    stage.tell("The NHS is back. One call is let through to see, at most 15 s from now")
    for player in patients:
        await steps.status(stage, player, AccountStatus.VERIFIED, BACK_SECONDS)
        await stage.passed(Topic.VERIFICATION_RESULT, player)
    stage.tell("Everybody is verified, and nobody had to ask again")


def _is_down(answer: httpx.Response) -> bool:
    return answer.is_success and answer.json()["dependencies"]["nhs"] == "down"


async def _still_waits(stage: Stage, player: Player) -> None:
    answer = await stage.call("GET", steps.PROFILE, token=player.token)
    steps.expect(answer, HTTPStatus.OK, "the profile")
    if answer.json()["status"] != AccountStatus.PENDING:
        raise StoryBroken(f"an account is {answer.json()['status']} without an answer")
