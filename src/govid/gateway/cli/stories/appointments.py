"""The story of an appointment."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from govid.bus.contracts import IdentifierType, Topic
from govid.gateway.cli.stage import Stage, StoryBroken
from govid.gateway.cli.stories import steps

SPECIALTY = "Cardiology"
SATURDAY = 5


async def appointment(stage: Stage) -> None:
    """Somebody books a doctor's appointment in a slot that a practice has free."""
    player = stage.person(IdentifierType.NHS)
    await steps.open_account(stage, player)
    day = _workday()
    slots = await stage.call(
        "GET", f"/api/nhs/slots?specialty={SPECIALTY}&date={day}", token=player.token
    )
    steps.expect(slots, HTTPStatus.OK, "the search for slots")
    if not slots.json():
        raise StoryBroken(f"nothing is free on {day}")
    slot = slots.json()[0]
    stage.tell(f"{len(slots.json())} slots are free on {day}; the first is at {slot['starts_at']}")
    booked = await stage.call(
        "POST",
        "/api/nhs/bookings",
        token=player.token,
        body={
            "specialty": SPECIALTY,
            "date": day,
            "slots": [slot["slot_id"]],
            "patient_identifier": player.identifier_value,
        },
    )
    steps.expect(booked, HTTPStatus.ACCEPTED, "booking")
    stage.tell(f"Booked: 202, {booked.json()['status']}")
    await stage.passed(Topic.APPOINTMENT_REQUEST, player)
    await stage.passed(Topic.APPOINTMENT_RESULT, player)
    decided = await stage.call("GET", booked.headers["location"], token=player.token)
    if decided.json()["status"] != "CONFIRMED":
        raise StoryBroken(f"the appointment is {decided.json()['status']}")
    stage.tell("The practice has confirmed it")


def _workday() -> str:
    """Return a day on which practices are open, in the next week."""
    days = (datetime.now(UTC).date() + timedelta(days=ahead) for ahead in range(2, 7))
    return next(day for day in days if day.weekday() < SATURDAY).isoformat()
