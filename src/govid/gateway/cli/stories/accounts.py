"""Stories of accounts: one that is opened, one that is not believed, one that a death closes."""

from datetime import UTC, datetime
from http import HTTPStatus

from govid.bus.contracts import IdentifierType, Topic
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.stage import Stage
from govid.gateway.cli.stories import steps


async def register(stage: Stage) -> None:
    """Somebody opens an account; the NHS confirms who they are."""
    player = stage.person(IdentifierType.NHS)
    await steps.open_account(stage, player)
    await stage.passed(Topic.VERIFICATION_REQUEST, player)
    await stage.passed(Topic.VERIFICATION_RESULT, player)


async def mismatch(stage: Stage) -> None:
    """Somebody gives a number that is not theirs, twice; the third time nobody is asked."""
    player = stage.person(IdentifierType.NHS)
    stage.tell("Somebody says who they are, and gives a number that is not theirs")
    await steps.register(stage, player, claims=True)
    await steps.status(stage, player, AccountStatus.FAILED)
    await stage.passed(Topic.VERIFICATION_RESULT, player)
    stage.tell("Which of it is wrong they are not told. They try again")
    again = await stage.call(
        "POST", "/api/auth/verification", token=player.token, body=player.claims
    )
    steps.expect(again, HTTPStatus.ACCEPTED, "the second attempt")
    await steps.status(stage, player, AccountStatus.FAILED)
    third = await stage.call(
        "POST", "/api/auth/verification", token=player.token, body=player.claims
    )
    steps.expect(third, HTTPStatus.FORBIDDEN, "the third attempt")
    stage.tell(f"A third time: 403, {third.json()['detail']}")


async def death_notification(stage: Stage) -> None:
    """A system outside reports a death; the account is closed within a moment."""
    player = stage.person(IdentifierType.NIN)
    await steps.open_account(stage, player)
    stage.tell("A system outside publishes the holder's death on Kafka")
    await stage.publish(
        Topic.DEATH_NOTIFICATION,
        {
            "identifierType": player.identifier_type,
            "identifierValue": player.identifier_value,
            "reason": "govid demo",
            "timestamp": datetime.now(UTC),
        },
    )
    await stage.until(
        steps.PROFILE,
        lambda answer: answer.status_code == HTTPStatus.UNAUTHORIZED,
        "token refused",
        token=player.token,
    )
    await stage.passed(Topic.DEATH_NOTIFICATION, player)
    stage.tell("The token, good until a moment ago, is refused: 401")
    answer = await steps.sign_in(stage, player)
    steps.expect(answer, HTTPStatus.FORBIDDEN, "sign-in")
    stage.tell(f"Signing in: 403, {answer.json()['detail']}")
