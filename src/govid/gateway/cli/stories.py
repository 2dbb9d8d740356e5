"""The stories of `govid demo`."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import httpx

from govid.bus.contracts import IdentifierType, Topic
from govid.gateway.cli.stage import DEADLINE_SECONDS, POLL_SECONDS, Player, Stage, StoryBroken

SPECIALTY = "Cardiology"
SATURDAY = 5


async def register(stage: Stage) -> None:
    """Somebody opens an account; the NHS confirms who they are."""
    player = stage.person(IdentifierType.NHS)
    await _open_account(stage, player)
    await stage.passed(Topic.VERIFICATION_REQUEST, player)
    await stage.passed(Topic.VERIFICATION_RESULT, player)


async def death_notification(stage: Stage) -> None:
    """A system outside reports a death; the account is closed within a moment."""
    player = stage.person(IdentifierType.NIN)
    await _open_account(stage, player)
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
    await _until(
        stage, player, lambda answer: answer.status_code == HTTPStatus.UNAUTHORIZED, "token refused"
    )
    await stage.passed(Topic.DEATH_NOTIFICATION, player)
    stage.tell("The token, good until a moment ago, is refused: 401")
    answer = await _sign_in(stage, player)
    _expect(answer, HTTPStatus.FORBIDDEN, "sign-in")
    stage.tell(f"Signing in: 403, {answer.json()['detail']}")


async def appointment(stage: Stage) -> None:
    """Somebody books a doctor's appointment in a slot that a practice has free."""
    player = stage.person(IdentifierType.NHS)
    await _open_account(stage, player)
    day = _workday()
    slots = await stage.call(
        "GET", f"/api/nhs/slots?specialty={SPECIALTY}&date={day}", token=player.token
    )
    _expect(slots, HTTPStatus.OK, "the search for slots")
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
    _expect(booked, HTTPStatus.ACCEPTED, "booking")
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


async def _open_account(stage: Stage, player: Player) -> None:
    answer = await stage.call(
        "POST",
        "/api/auth/register",
        body={
            "email": player.email,
            "password": player.password,
            "identifierType": player.identifier_type,
            "identifierValue": player.identifier_value,
            "phoneNumber": player.phone_number,
        },
    )
    _expect(answer, HTTPStatus.CREATED, "registration")
    player.id = answer.json()["id"]
    stage.tell(f"Registered {player.email}: 201, {answer.json()['status']}")
    answer = await _sign_in(stage, player)
    _expect(answer, HTTPStatus.OK, "sign-in")
    player.token = answer.json()["access_token"]
    stage.tell("Signed in: 200")
    await _until(
        stage,
        player,
        lambda profile: profile.is_success and profile.json()["status"] == "verified",
        "status verified",
    )
    stage.tell("The profile says: verified")


async def _sign_in(stage: Stage, player: Player) -> httpx.Response:
    credentials = {"email": player.email, "password": player.password}
    return await stage.call("POST", "/api/auth/login", body=credentials)


async def _until(
    stage: Stage, player: Player, reached: Callable[[httpx.Response], bool], goal: str
) -> None:
    """Ask for the profile until *reached* says that it is as wanted."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_SECONDS
    while not reached(await stage.call("GET", "/api/auth/profile", token=player.token)):
        if loop.time() > deadline:
            raise StoryBroken(f"not within {DEADLINE_SECONDS:.0f} s: {goal}")
        await asyncio.sleep(POLL_SECONDS)


def _expect(answer: httpx.Response, status: HTTPStatus, what: str) -> None:
    if answer.status_code != status:
        raise StoryBroken(f"{what} answered {answer.status_code} instead of {status.value}")
