"""Appointment requests for tests."""

from typing import Any

import httpx
import msgspec

from govid.bus import Database, Delivery
from govid.bus.events import AppointmentRequested
from tests.integration.departments import build_delivery

PATH = "/api/nhs/appointments"
BODY = {
    "patient_identifier": "943 476 5919",
    "requested_datetime": "2026-07-01T09:30:00",
    "doctor_specialty": "Cardiology",
    "reason": "Palpitations",
}


async def request_appointment(client: httpx.AsyncClient, **others: str) -> dict[str, Any]:
    """Ask for an appointment and return the answer."""
    answer: dict[str, Any] = (await client.post(PATH, json=BODY | others)).json()
    return answer


async def latest_request(database: Database) -> Delivery[AppointmentRequested]:
    """Return the delivery of the latest appointment request."""
    payload = await database.reads.fetchval(
        "SELECT payload FROM bus.event WHERE type = 'nhs.appointment.requested' "
        "ORDER BY pos DESC LIMIT 1"
    )
    return build_delivery(msgspec.json.decode(payload, type=AppointmentRequested))
