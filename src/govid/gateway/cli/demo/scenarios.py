"""The scenarios of `govid demo`: accounts, appointments, a department outage, tax records.

`SCENARIOS` lists them in the order in which `govid demo all` runs them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import httpx

from govid.bus.events import IdentifierType, Topic
from govid.bus.shared.contract import AccountStatus
from govid.gateway.cli.demo import steps
from govid.gateway.cli.demo.people import DemoPerson
from govid.gateway.cli.demo.runner import ScenarioFailed, ScenarioRunner


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


SPECIALTY = "Cardiology"
SATURDAY = 5


async def run_appointment(runner: ScenarioRunner) -> None:
    """A citizen books an appointment in a free slot of a practice."""
    person = runner.create_person(IdentifierType.NHS)
    await steps.register_verified_account(runner, person)
    day = _workday()
    slots = await runner.send_request(
        "GET", f"/api/nhs/slots?specialty={SPECIALTY}&date={day}", token=person.token
    )
    steps.require_status(slots, HTTPStatus.OK, "the search for slots")
    if not slots.json():
        raise ScenarioFailed(f"no slot is free on {day}")
    slot = slots.json()[0]
    runner.narrate(
        f"{len(slots.json())} slots are free on {day}; the first is at {slot['starts_at']}"
    )
    booked = await runner.send_request(
        "POST",
        "/api/nhs/bookings",
        token=person.token,
        body={
            "specialty": SPECIALTY,
            "date": day,
            "slots": [slot["slot_id"]],
            "patient_identifier": person.identifier_value,
        },
    )
    steps.require_status(booked, HTTPStatus.ACCEPTED, "booking")
    runner.narrate(f"Booked: 202, {booked.json()['status']}")
    await runner.wait_for_event(Topic.APPOINTMENT_REQUEST, person)
    await runner.wait_for_event(Topic.APPOINTMENT_RESULT, person)
    decided = await runner.send_request("GET", booked.headers["location"], token=person.token)
    if decided.json()["status"] != "CONFIRMED":
        raise ScenarioFailed(f"the appointment is {decided.json()['status']}")
    runner.narrate("The practice has confirmed it")


def _workday() -> str:
    """Return a day on which practices are open, in the next week."""
    days = (datetime.now(UTC).date() + timedelta(days=ahead) for ahead in range(2, 7))
    return next(day for day in days if day.weekday() < SATURDAY).isoformat()


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


CONSENT = "/api/hmrc/consent"
RECORDS = "/api/hmrc/tax-records"
YEAR = "2024-25"
EMPTY_YEAR = "2019-20"
USER = "945350439195"
UTR = "1000057161"
"""The user id and UTR of Ida Newton, one of HMRC's published test users."""

_SHOWN_VALUES = re.compile(r"<p>(code|state): <b>([^<]+)</b></p>")


async def run_tax_record(runner: ScenarioRunner) -> None:
    """A citizen consents, reads the tax record of one year, and withdraws the consent."""
    person = runner.create_person(IdentifierType.NIN)
    await steps.register_verified_account(runner, person)
    started = await runner.send_request("POST", CONSENT, token=person.token)
    steps.require_status(started, HTTPStatus.CREATED, "the start of the consent")
    runner.narrate("HMRC asks for consent on its own page, and the citizen grants it")
    given = await _grant_consent(runner, started.json()["authorisationUrl"])
    granted = await runner.send_request(
        "PUT", CONSENT, token=person.token, body={**given, "utr": UTR}
    )
    steps.require_status(granted, HTTPStatus.OK, "the consent")
    runner.narrate(f"Consent is {granted.json()['status']}, until {granted.json()['endsAt']}")
    found = await runner.send_request("GET", f"{RECORDS}/{YEAR}", token=person.token)
    steps.require_status(found, HTTPStatus.OK, "the tax record")
    runner.narrate(f"{YEAR}: {_describe(found)}")
    empty = await runner.send_request("GET", f"{RECORDS}/{EMPTY_YEAR}", token=person.token)
    steps.require_status(empty, HTTPStatus.NOT_FOUND, "a year without a record")
    runner.narrate(f"{EMPTY_YEAR}: 404, {empty.json()['detail']}")
    ended = await runner.send_request("DELETE", CONSENT, token=person.token)
    steps.require_status(ended, HTTPStatus.NO_CONTENT, "the withdrawal of the consent")
    refused = await runner.send_request("GET", f"{RECORDS}/{YEAR}", token=person.token)
    steps.require_status(refused, HTTPStatus.FORBIDDEN, "the tax record without a consent")
    runner.narrate(f"After the withdrawal the record is refused: 403, {refused.json()['detail']}")


async def _grant_consent(runner: ScenarioRunner, url: str) -> Mapping[str, str]:
    """Grant the consent on the page at *url*; return the code and state of the redirect."""
    page, _, query = url.partition("?")
    form = {**dict(parse_qsl(query)), "user": USER, "decision": "grant"}
    response = await runner.submit_form(page, form)
    if response.status_code == HTTPStatus.SEE_OTHER:
        found = dict(parse_qsl(urlsplit(response.headers["location"]).query))
    else:
        # Without a redirect URI, HMRC shows the code and the state on its page.
        found = dict(_SHOWN_VALUES.findall(response.text))
    if found.keys() < {"code", "state"}:
        raise ScenarioFailed(f"the consent page returned {response.status_code} and no code")
    return {name: found[name] for name in ("code", "state")}


def _describe(response: httpx.Response) -> str:
    """Describe the employments and payments of a record, exactly as HMRC has them."""
    employments = response.json(parse_float=Decimal)["employments"] or ()
    paid = ", ".join(
        f"{one['employerName']}: pay {one['payFromEmployment']}, tax {one['taxTakenOffPay']}"
        for one in employments
    )
    return f"{len(employments)} employments. {paid}"


SCENARIOS: Mapping[str, Callable[[ScenarioRunner], Awaitable[None]]] = {
    "register": run_registration,
    "mismatch": run_mismatch,
    "appointment": run_appointment,
    "tax-record": run_tax_record,
    "death-notification": run_death_notification,
    "outage": run_outage,
}
