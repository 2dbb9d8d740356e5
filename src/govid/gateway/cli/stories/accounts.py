"""Scenarios of accounts: registration, failed verification, death notice."""

from datetime import UTC, datetime
from http import HTTPStatus

from govid.bus.contracts import IdentifierType, Topic
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.stage import ScenarioRunner
from govid.gateway.cli.stories import steps


async def run_registration(runner: ScenarioRunner) -> None:
    """A citizen registers, and the NHS verifies the account."""
    person = runner.create_person(IdentifierType.NHS)
    await steps.register_verified_account(runner, person)
    await runner.wait_for_event(Topic.VERIFICATION_REQUEST, person)
    await runner.wait_for_event(Topic.VERIFICATION_RESULT, person)


async def run_mismatch(runner: ScenarioRunner) -> None:
    """A citizen gives a wrong number twice; a third attempt is refused without asking the NHS."""
    person = runner.create_person(IdentifierType.NHS)
    runner.narrate("A citizen registers with claimed facts and the number of another person")
    await steps.register_and_sign_in(runner, person, claims=True)
    await steps.wait_for_status(runner, person, AccountStatus.FAILED)
    await runner.wait_for_event(Topic.VERIFICATION_RESULT, person)
    runner.narrate("The response does not say which fact is wrong. They try again")
    again = await runner.send_request(
        "POST", "/api/auth/verification", token=person.token, body=person.claimed_facts
    )
    steps.require_status(again, HTTPStatus.ACCEPTED, "the second attempt")
    await steps.wait_for_status(runner, person, AccountStatus.FAILED)
    third = await runner.send_request(
        "POST", "/api/auth/verification", token=person.token, body=person.claimed_facts
    )
    steps.require_status(third, HTTPStatus.FORBIDDEN, "the third attempt")
    runner.narrate(f"A third time: 403, {third.json()['detail']}")


async def run_death_notification(runner: ScenarioRunner) -> None:
    """An external system reports a death; the account is blocked within a moment."""
    person = runner.create_person(IdentifierType.NIN)
    await steps.register_verified_account(runner, person)
    runner.narrate("An external system publishes the account holder's death on Kafka")
    await runner.publish_record(
        Topic.DEATH_NOTIFICATION,
        {
            "identifierType": person.identifier_type,
            "identifierValue": person.identifier_value,
            "reason": "govid demo",
            "timestamp": datetime.now(UTC),
        },
    )
    await runner.wait_until(
        steps.PROFILE,
        lambda response: response.status_code == HTTPStatus.UNAUTHORIZED,
        "token refused",
        token=person.token,
    )
    await runner.wait_for_event(Topic.DEATH_NOTIFICATION, person)
    runner.narrate("The token, valid until a moment ago, is refused: 401")
    response = await steps.sign_in(runner, person)
    steps.require_status(response, HTTPStatus.FORBIDDEN, "sign-in")
    runner.narrate(f"Login: 403, {response.json()['detail']}")
