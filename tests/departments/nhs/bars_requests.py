"""Booking and Referral requests, valid but for what a test changes."""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx

from tests.departments.nhs.token_requests import MISSING, NhsRequests

SERVICE = "2000099999"
WINDOW = [("start", "ge2026-01-05T00:00:00+00:00"), ("start", "le2026-01-19T00:00:00+00:00")]
SLOTS = [
    ("status", "free"),
    *WINDOW,
    ("Schedule.actor:HealthcareService", SERVICE),
    ("_include", "Slot:schedule"),
]
PATIENT = "9476719931"


class JanuaryClock:
    """A clock that shows a Monday in January, until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


def target(value: str = SERVICE, system: str = "https://fhir.nhs.uk/Id/dos-service-id") -> str:
    return b64encode(json.dumps({"system": system, "value": value}).encode()).decode()


class BarsRequests:
    """Books, moves and cancels."""

    def __init__(self, asking: NhsRequests, token: str) -> None:
        self.asking = asking
        self._token = token

    async def send(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        query: Any = None,
        headers: Mapping[str, object] | None = None,
    ) -> httpx.Response:
        """Send a request with all headers that it wants, but for the changes in *headers*."""
        wanted: dict[str, Any] = {
            "Authorization": f"Bearer {self._token}",
            "X-Request-Id": str(uuid4()),
            "X-Correlation-Id": str(uuid4()),
            "NHSD-Target-Identifier": target(),
            "Accept": "application/fhir+json; version=1.4.0",
            **(headers or {}),
        }
        return await self.asking.http.request(
            method,
            f"{self.asking.target.url}/booking-and-referral/FHIR/R4{path}",
            json=content,
            params=query,
            headers={name: value for name, value in wanted.items() if value is not MISSING},
        )

    async def slots(self, query: Any = None, **headers: object) -> httpx.Response:
        return await self.send("GET", "/Slot", query=query or SLOTS, headers=headers)

    async def free(self) -> list[dict[str, Any]]:
        """Return the free slots, the earliest first."""
        entries = (await self.slots()).json()["entry"]
        return [one["resource"] for one in entries if one["resource"]["resourceType"] == "Slot"]

    async def message(
        self, appointment: Mapping[str, Any], *, message_id: str | None = None
    ) -> httpx.Response:
        return await self.send("POST", "/$process-message", bundle(appointment, message_id))


def appointment_request(
    *slots: Mapping[str, Any], patient: str = PATIENT, **changes: object
) -> dict[str, Any]:
    """Return an appointment in *slots*; what is MISSING in *changes* is left out."""
    content = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": slots[0]["start"],
        "end": slots[-1]["end"],
        "created": "2026-01-05T12:00:00+00:00",
        "description": "Reason for calling",
        "slot": [{"reference": f"Slot/{one['id']}"} for one in slots],
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
        **changes,
    }
    return {name: value for name, value in content.items() if value is not MISSING}


def bundle(appointment: Mapping[str, Any], message_id: str | None = None) -> dict[str, Any]:
    """Return the message that asks for *appointment*."""
    focus = f"urn:uuid:{uuid4()}"
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {
            "system": "https://fhir.nhs.uk/CodeSystem/message-events-bars",
            "code": "booking-request",
        },
        "reason": {"coding": [{"code": "new"}]},
        "focus": [{"reference": focus}],
    }
    return {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"fullUrl": message_id or f"urn:uuid:{uuid4()}", "resource": header},
            {"fullUrl": focus, "resource": appointment},
        ],
    }


def booked(answer: httpx.Response) -> dict[str, Any]:
    """Return the appointment in the answer to a message."""
    resource: dict[str, Any] = answer.json()["entry"][1]["resource"]
    return resource


def reported(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and issue of an OperationOutcome."""
    (issue,) = answer.json()["issue"]
    return answer.status_code, issue["details"]["coding"][0]["code"], issue["code"]
