"""Appointments at practices of an NHS that is asked over a socket, whole: from request to diary."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from govid.nhs import SIMULATED_ENDPOINT, SIMULATED_ODS, NhsSimulator
from tests.departments.loopback import served
from tests.http.client import PASSWORD, Client
from tests.http.serving import demonstration, serving

PATIENT = "9476719931"
PETER = {
    "email": "peter@example.com",
    "password": PASSWORD,
    "identifierType": "NHS",
    "identifierValue": PATIENT,
    "givenName": "Peter James",
    "familyName": "Chalmers",
    "dateOfBirth": "1974-12-25",
}
NAMED = f"General practice=2000099999@{SIMULATED_ODS},Cardiology=2000011147@{SIMULATED_ODS}"


@pytest.fixture
def monday() -> date:
    """Return the next Monday: practices are open, and have no bookings yet."""
    today = datetime.now(UTC).date()
    return today + timedelta(days=7 - today.weekday())


@pytest.fixture
def simulator() -> NhsSimulator:
    return NhsSimulator(is_limited=False)


@pytest.fixture
async def client(
    simulator: NhsSimulator, database_url: str, tmp_path: Path
) -> AsyncIterator[Client]:
    """Yield a client of a server that knows this NHS from its settings only."""
    async with served(simulator.application) as nhs:
        settings = demonstration(
            database_url,
            tmp_path,
            GOVID_NHS_BASE_URL=nhs,
            GOVID_NHS_CLIENT_ID=simulator.client_id,
            GOVID_NHS_KEY_ID=simulator.kid,
            GOVID_NHS_PRIVATE_KEY=simulator.key.pem.decode(),
            GOVID_NHS_ODS_CODE=SIMULATED_ODS,
            GOVID_NHS_ENDPOINT=SIMULATED_ENDPOINT,
            GOVID_NHS_PRACTICES=NAMED,
        )
        with serving(settings) as url:
            async with httpx.AsyncClient(base_url=url, timeout=10) as http:
                yield Client(http)


async def patient(client: Client) -> str:
    """Let Peter register and be verified by this NHS; return his token."""
    token = await client.citizen(PETER)
    await client.until_status(token, "verified")
    return token


async def decided(client: Client, token: str, where: str) -> Any:
    """Return the appointment at *where*, once the practice has answered."""
    async with asyncio.timeout(15):
        while (found := (await client.get(where, token)).json())["status"] == "REQUESTED":
            await asyncio.sleep(0.02)
    return found


async def test_an_appointment_request_becomes_an_appointment_in_the_practices_diary(
    client: Client, simulator: NhsSimulator, monday: date
) -> None:
    token = await patient(client)
    asked = await client.post(
        "/api/nhs/appointments",
        {
            "patient_identifier": PATIENT,
            "requested_datetime": f"{monday}T09:10:00Z",
            "doctor_specialty": "Cardiology",
        },
        token,
    )
    assert (asked.status_code, asked.json()["status"]) == (202, "REQUESTED")
    found = await decided(client, token, f"/api/nhs/appointments/{asked.json()['appointment_id']}")
    assert (found["status"], found["confirmed_datetime"]) == ("CONFIRMED", f"{monday}T09:15:00Z")
    (entry,) = simulator.diary.list_for_patient(PATIENT)
    assert (entry.status, entry.booking.id) == ("booked", found["appointment_id"])


async def test_a_slot_is_found_and_booked_there(
    client: Client, simulator: NhsSimulator, monday: date
) -> None:
    token = await patient(client)
    slots = await client.get(f"/api/nhs/slots?specialty=cardiology&date={monday}", token)
    appointment_request = {
        "specialty": "Cardiology",
        "date": str(monday),
        "slots": [slots.json()[0]["slot_id"]],
        "patient_identifier": PATIENT,
    }
    asked = await client.post("/api/nhs/bookings", appointment_request, token)
    found = await decided(client, token, asked.headers["location"])
    assert (found["status"], found["confirmed_datetime"]) == ("CONFIRMED", f"{monday}T09:00:00Z")
    assert [one.status for one in simulator.diary.list_for_patient(PATIENT)] == ["booked"]


async def test_what_no_practice_was_named_for_is_offered_by_no_one(
    client: Client, monday: date
) -> None:
    token = await client.citizen()
    answer = await client.get(f"/api/nhs/slots?specialty=Dermatology&date={monday}", token)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "appointment_request"),
    [
        (
            "/api/nhs/appointments",
            {"requested_datetime": "2099-03-02T09:10:00Z", "doctor_specialty": "Cardiology"},
        ),
        (
            "/api/nhs/bookings",
            {"date": "2099-03-02", "specialty": "Cardiology", "slots": ["2000011147-1"]},
        ),
    ],
)
async def test_no_one_books_in_anothers_name(
    client: Client, simulator: NhsSimulator, path: str, appointment_request: dict[str, Any]
) -> None:
    await patient(client)
    stranger = await client.citizen()
    await client.until_status(stranger, "verified")
    asked = await client.post(path, appointment_request | {"patient_identifier": PATIENT}, stranger)
    assert (asked.status_code, asked.json()["type"]) == (
        403,
        "urn:govid:problem:nhs-number-not-yours",
    )
    assert PATIENT not in asked.text
    assert simulator.diary.list_for_patient(PATIENT) == []
