"""A citizen books a slot, moves and cancels the appointment: the whole application, over HTTP."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.http.client import Client

SLOTS = "/api/nhs/slots"
BOOKINGS = "/api/nhs/bookings"
DEADLINE_SECONDS = 10


def workday() -> date:
    """Return a day on which practices are open, in the next days."""
    days = (datetime.now(UTC).date() + timedelta(days=ahead) for ahead in range(2, 7))
    return next(day for day in days if day.weekday() < 5)


async def free(client: Client, token: str) -> list[dict[str, Any]]:
    await client.until_status(token, "verified")
    query = {"specialty": "General practice", "date": workday().isoformat()}
    answer = await client.get(SLOTS, token, params=query)
    assert answer.status_code == 200
    slots: list[dict[str, Any]] = answer.json()
    return slots


def appointment_request(*slots: dict[str, Any]) -> dict[str, Any]:
    return {
        "specialty": "General practice",
        "date": workday().isoformat(),
        "slots": [one["slot_id"] for one in slots],
        "patient_identifier": "943 476 5919",
    }


async def until(client: Client, token: str, path: str, status: str) -> Any:
    """Wait until the appointment at *path* has *status*, and return that answer."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (found := await client.get(path, token)).json()["status"] != status:
            await asyncio.sleep(0.02)
    return found


async def test_an_appointment_is_booked_moved_and_cancelled(client: Client) -> None:
    token = await client.citizen()
    bearer = {"Authorization": f"Bearer {token}"}
    slots = await free(client, token)
    asked = await client.post(BOOKINGS, appointment_request(slots[0]), token)
    assert asked.status_code == 202
    where = asked.headers["location"]
    found = await until(client, token, where, "CONFIRMED")
    assert found.json()["confirmed_datetime"] == slots[0]["starts_at"]

    move = {"date": workday().isoformat(), "slots": [slots[4]["slot_id"]]}
    known = {"If-Match": found.headers["etag"]}
    moved = await client.http.put(where, json=move, headers=bearer | known)
    assert moved.status_code == 202
    found = await until(client, token, where, "CONFIRMED")
    assert found.json()["confirmed_datetime"] == slots[4]["starts_at"]

    stale = await client.http.delete(where, headers=bearer | known)
    assert (stale.status_code, stale.json()["type"]) == (
        412,
        "urn:govid:problem:appointment-changed",
    )
    unread = await client.http.delete(where, headers=bearer)
    assert (unread.status_code, unread.json()["title"]) == (428, "Precondition Required")
    known = {"If-Match": found.headers["etag"]}
    cancelled = await client.http.delete(where, headers=bearer | known)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    listed = await client.get("/api/nhs/appointments", token)
    assert [one["status"] for one in listed.json()] == ["CANCELLED"]
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await free(client, token) != slots:
            await asyncio.sleep(0.02)


async def test_r20_of_fifty_bookings_at_once_one_succeeds(client: Client) -> None:
    token = await client.citizen()
    first, *_ = await free(client, token)
    answers = await asyncio.gather(
        *(client.post(BOOKINGS, appointment_request(first), token) for _ in range(50))
    )
    assert Counter(one.status_code for one in answers) == {202: 1, 409: 49}
    refused = next(one for one in answers if one.status_code == 409)
    assert refused.headers["content-type"] == "application/problem+json"


async def test_an_appointment_request_without_a_slot_is_decided_as_ever_and_cannot_be_moved(
    client: Client,
) -> None:
    token = await client.citizen()
    asked = await client.post(
        "/api/nhs/appointments",
        {
            "patient_identifier": "943 476 5919",
            "requested_datetime": "2050-03-04T09:30:00",
            "doctor_specialty": "Cardiology",
        },
        token,
    )
    where = f"/api/nhs/appointments/{asked.json()['appointment_id']}"
    assert asked.status_code == 202
    found = await until(client, token, where, "CONFIRMED")
    headers = {"Authorization": f"Bearer {token}", "If-Match": found.headers["etag"]}
    move = {"date": workday().isoformat(), "slots": ["slot001"]}
    moved = await client.http.put(where, json=move, headers=headers)
    assert (moved.status_code, moved.json()["type"]) == (
        409,
        "urn:govid:problem:appointment-without-slot",
    )
    assert (await client.http.delete(where, headers=headers)).status_code == 200
