"""Control characters are refused, and those of older rows neutralised (E11)."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from govid import nhs
from govid.bus import Database, Module, OperationContext, UnitOfWork
from govid.bus.events import AppointmentRequested
from govid.nhs.account_events import DataExportSource
from tests.integration.departments import FixedClock, published
from tests.integration.nhs.conftest import SETTINGS

PATIENTS, APPOINTMENTS = "/api/nhs/patients", "/api/nhs/appointments"
PATIENT = {"name": "Jane Smith", "nhsNumber": "943 476 5919", "medicalHistory": "None known"}
APPOINTMENT_REQUEST = {
    "patient_identifier": "943 476 5919",
    "requested_datetime": "2030-03-04T09:30:00",
    "doctor_specialty": "Cardiology",
    "reason": "Palpitations",
}
BAD = ["\x1b[31m", "\u202e", "\x00", "\u2028", "\x85", "\u200f", "\r"]
FILE = (
    "INSERT INTO nhs.patient (id, account_id, name, nhs_number, medical_history, source,"
    " created_at, updated_at)"
    " VALUES (gen_random_uuid(), $1, $2, '9434765919', $3, 'citizen', now(), now())"
)
OLD = "UPDATE nhs.appointment SET doctor_specialty = $1, reason = $2, confirmation_details = $1"


@pytest.fixture
async def module(database: Database, uow: UnitOfWork, clock: FixedClock) -> AsyncIterator[Module]:
    module = nhs.build(SETTINGS, database, uow, clock)
    yield module
    await module.stops[0]()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PATIENTS, PATIENT, "name"),
        (PATIENTS, PATIENT, "nhsNumber"),
        (PATIENTS, PATIENT, "medicalHistory"),
        (APPOINTMENTS, APPOINTMENT_REQUEST, "patient_identifier"),
        (APPOINTMENTS, APPOINTMENT_REQUEST, "doctor_specialty"),
        (APPOINTMENTS, APPOINTMENT_REQUEST, "reason"),
    ],
)
async def test_e11_they_are_a_422_that_names_the_field(
    client: httpx.AsyncClient, path: str, body: dict[str, str], field: str, bad: str
) -> None:
    answer = await client.post(path, json={**body, field: f"a{bad}b"})
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["loc"], fault["type"]) == (
        *(422, ["body", field], "control_character"),
    )


@pytest.mark.parametrize("field", ["name", "nhsNumber"])
@pytest.mark.parametrize("bad", ["\n", "\t"])
async def test_e11_a_line_has_no_line_feed_and_no_tab(
    client: httpx.AsyncClient, field: str, bad: str
) -> None:
    answer = await client.post(PATIENTS, json={**PATIENT, field: f"a{bad}b"})
    assert answer.json()["errors"][0]["type"] == "control_character"


async def test_e11_a_note_may_have_lines_and_tabs(client: httpx.AsyncClient) -> None:
    note = "Asthma\n\tsince 1990"
    filed = await client.post(PATIENTS, json={**PATIENT, "medicalHistory": note})
    asked = await client.post(APPOINTMENTS, json={**APPOINTMENT_REQUEST, "reason": note})
    assert (filed.json()["medicalHistory"], asked.json()["reason"]) == (note, note)


async def test_e11_old_records_are_neutralised_in_answers_and_exports(
    client: httpx.AsyncClient, database: Database, account_id: UUID
) -> None:
    await database.reads.execute(FILE, account_id, "Ja\x1bne\u202e", "a\n\tb\x9b")
    (patient,) = (await client.get(PATIENTS)).json()
    pages = [page async for page in DataExportSource(database).sections()["patients"](account_id)]
    assert (patient["name"], patient["medicalHistory"]) == ("Ja\ufffdne\ufffd", "a\n\tb\ufffd")
    assert (pages[0][0]["name"], pages[0][0]["medical_history"]) == (
        "Ja\ufffdne\ufffd",
        "a\n\tb\ufffd",
    )


async def test_e11_old_appointments_are_neutralised_in_answers(
    client: httpx.AsyncClient, database: Database
) -> None:
    asked = (await client.post(APPOINTMENTS, json=APPOINTMENT_REQUEST)).json()
    where = f"{APPOINTMENTS}/{asked['appointment_id']}"
    await database.reads.execute(OLD, "Cardio\u202elogy", "a\x1bb")
    found: dict[str, Any] = (await client.get(where)).json()
    (listed,) = (await client.get(APPOINTMENTS)).json()
    assert (found["doctor_specialty"], found["reason"], found["confirmation_details"]) == (
        *("Cardio\ufffdlogy", "a\ufffdb", "Cardio\ufffdlogy"),
    )
    assert listed == found


async def test_e11_what_happens_to_an_old_row_is_neutral_on_the_topic(
    client: httpx.AsyncClient, database: Database, uow: UnitOfWork
) -> None:
    await client.post(APPOINTMENTS, json=APPOINTMENT_REQUEST)
    ((_, payload),) = await published(database)
    event = msgspec.convert(
        {**payload, "reason": "a\x1b\u2029b", "doctor_specialty": "Cardio\u202elogy"},
        AppointmentRequested,
    )
    async with uow.begin(OperationContext(correlation_id="c-1")) as tx:
        tx.emit(event)
    _, (_, reported) = await published(database)
    assert (reported["reason"], reported["doctor_specialty"]) == (
        "a\ufffd\ufffdb",
        "Cardio\ufffdlogy",
    )
