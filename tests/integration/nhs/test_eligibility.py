"""Who may book at practices that are asked over a socket: people whom the NHS has verified, and
only in their own name.
"""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from govid.bus import Database, Module, UnitOfWork
from tests.integration.departments import find_handler, handle, published
from tests.integration.nhs.appointment_requests import latest_request
from tests.integration.nhs.practices import NUMBER, module, register_patient, simulator

__all__ = ["module", "simulator"]

APPOINTMENT_REQUESTS = "/api/nhs/appointments"
BOOKINGS = "/api/nhs/bookings"
OTHERS = "9476719931"
APPOINTMENT_REQUEST = {
    "requested_datetime": "2026-01-06T10:00:00Z",
    "doctor_specialty": "Cardiology",
}
BOOKING = {
    "specialty": "Cardiology",
    "date": "2026-01-06",
    "slots": ["2000011147-20260106T1000"],
}
SERVICES = pytest.mark.parametrize(
    ("path", "appointment_request"),
    [(APPOINTMENT_REQUESTS, APPOINTMENT_REQUEST), (BOOKINGS, BOOKING)],
)
NOT_YOURS = "You can only book for yourself, with the NHS number in your own NHS record"
STEP_UP = "Booking at a practice requires a verified NHS number. Please verify yours first"


async def refusal(answer: httpx.Response, database: Database) -> tuple[int, str, int]:
    """Return the status, what is said, and how many events there are."""
    return answer.status_code, answer.json()["detail"], len(await published(database))


@SERVICES
async def test_no_one_books_in_anothers_name(
    client: httpx.AsyncClient,
    database: Database,
    account_id: UUID,
    path: str,
    appointment_request: dict[str, Any],
) -> None:
    await register_patient(database, account_id)
    await register_patient(database, uuid4(), OTHERS)
    answer = await client.post(path, json=appointment_request | {"patient_identifier": OTHERS})
    assert await refusal(answer, database) == (403, NOT_YOURS, 0)


@SERVICES
async def test_who_was_verified_by_another_department_has_no_number_to_book_with(
    client: httpx.AsyncClient, database: Database, path: str, appointment_request: dict[str, Any]
) -> None:
    answer = await client.post(path, json=appointment_request | {"patient_identifier": NUMBER})
    assert await refusal(answer, database) == (403, NOT_YOURS, 0)


@SERVICES
async def test_who_is_not_verified_or_not_any_more_books_nothing(
    client: httpx.AsyncClient,
    database: Database,
    account_id: UUID,
    path: str,
    appointment_request: dict[str, Any],
) -> None:
    await register_patient(database, account_id)
    body = appointment_request | {"patient_identifier": NUMBER}
    answer = await client.post(path, json=body, headers={"X-Assurance": "P0"})
    assert await refusal(answer, database) == (403, STEP_UP, 0)


@SERVICES
async def test_ones_own_number_may_be_written_as_it_is_printed(
    client: httpx.AsyncClient,
    database: Database,
    account_id: UUID,
    path: str,
    appointment_request: dict[str, Any],
) -> None:
    await register_patient(database, account_id)
    answer = await client.post(
        path, json=appointment_request | {"patient_identifier": "943 476 5919"}
    )
    assert answer.status_code == 202


async def test_the_prototypes_form_is_no_ones_number_here(
    client: httpx.AsyncClient, database: Database, account_id: UUID
) -> None:
    await register_patient(database, account_id)
    answer = await client.post(
        APPOINTMENT_REQUESTS, json=APPOINTMENT_REQUEST | {"patient_identifier": "NHS123456789"}
    )
    assert await refusal(answer, database) == (403, NOT_YOURS, 0)


async def test_who_is_not_verified_any_more_may_cancel_but_not_move(
    client: httpx.AsyncClient, database: Database, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    await register_patient(database, account_id)
    asked = await client.post(BOOKINGS, json=BOOKING | {"patient_identifier": NUMBER})
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    where, headers = asked.headers["location"], {"If-Match": "*", "X-Assurance": "P0"}
    move = {"date": "2026-01-06", "slots": ["2000011147-20260106T1500"]}
    moved = await client.put(where, json=move, headers=headers)
    cancelled = await client.delete(where, headers=headers)
    assert (moved.status_code, moved.json()["detail"]) == (403, STEP_UP)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")


async def test_an_appointment_request_in_anothers_name_from_before_services_asked_is_rejected(
    client: httpx.AsyncClient, database: Database, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    await register_patient(database, account_id)
    await client.post(
        APPOINTMENT_REQUESTS, json=APPOINTMENT_REQUEST | {"patient_identifier": NUMBER}
    )
    appointment_request = await latest_request(database)
    await database.reads.execute("UPDATE nhs.patient SET nhs_number = $1", OTHERS)
    await handle(find_handler(module, "nhs.booking"), appointment_request, uow)
    kind, reported = (await published(database))[-1]
    assert (kind, reported["status"], reported["rejection_reason"]) == (
        "nhs.appointment.decided",
        "REJECTED",
        "The number is not that of the NHS's own record of the citizen",
    )
