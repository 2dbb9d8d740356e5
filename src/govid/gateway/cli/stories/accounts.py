"""Scenarios of accounts: registration, failed verification, death notice."""

from datetime import UTC, datetime
from http import HTTPStatus

from govid.bus.contracts import IdentifierType, Topic
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.stage import Stage
from govid.gateway.cli.stories import steps


async def register(runner: Stage) -> None:
    """A citizen registers, and the NHS verifies the account."""
    person = runner.person(IdentifierType.NHS)
    await steps.open_account(runner, person)
    await runner.passed(Topic.VERIFICATION_REQUEST, person)
    await runner.passed(Topic.VERIFICATION_RESULT, person)


async def mismatch(runner: Stage) -> None:
    """A citizen gives a wrong number twice; a third attempt is refused without asking the NHS."""
    person = runner.person(IdentifierType.NHS)
    runner.tell("A citizen registers with claimed facts and the number of another person")
    await steps.register(runner, person, claims=True)
    await steps.status(runner, person, AccountStatus.FAILED)
    await runner.passed(Topic.VERIFICATION_RESULT, person)
    runner.tell("The response does not say which fact is wrong. They try again")
    again = await runner.call(
        "POST", "/api/auth/verification", token=person.token, body=person.claims
    )
    steps.expect(again, HTTPStatus.ACCEPTED, "the second attempt")
    await steps.status(runner, person, AccountStatus.FAILED)
    third = await runner.call(
        "POST", "/api/auth/verification", token=person.token, body=person.claims
    )
    steps.expect(third, HTTPStatus.FORBIDDEN, "the third attempt")
    runner.tell(f"A third time: 403, {third.json()['detail']}")


async def death_notification(runner: Stage) -> None:
    """An external system reports a death; the account is blocked within a moment."""
    person = runner.person(IdentifierType.NIN)
    await steps.open_account(runner, person)
    runner.tell("An external system publishes the account holder's death on Kafka")
    await runner.publish(
        Topic.DEATH_NOTIFICATION,
        {
            "identifierType": person.identifier_type,
            "identifierValue": person.identifier_value,
            "reason": "govid demo",
            "timestamp": datetime.now(UTC),
        },
    )
    await runner.until(
        steps.PROFILE,
        lambda response: response.status_code == HTTPStatus.UNAUTHORIZED,
        "token refused",
        token=person.token,
    )
    await runner.passed(Topic.DEATH_NOTIFICATION, person)
    runner.tell("The token, valid until a moment ago, is refused: 401")
    response = await steps.sign_in(runner, person)
    steps.expect(response, HTTPStatus.FORBIDDEN, "sign-in")
    runner.tell(f"Login: 403, {response.json()['detail']}")
