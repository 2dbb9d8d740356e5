"""Scenario of an appointment."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from govid.bus.contracts import IdentifierType, Topic
from govid.gateway.cli.stage import ScenarioFailed, ScenarioRunner
from govid.gateway.cli.stories import steps

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
