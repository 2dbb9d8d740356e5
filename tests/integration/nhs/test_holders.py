"""Who may book at practices that are asked over a socket: whoever the NHS has verified, and in
nobody's name but their own.
"""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from govid.bus import Database, Module, UnitOfWork
from tests.integration.departments import handle, handler_of, published
from tests.integration.nhs.practices import NUMBER, known, module, simulator
from tests.integration.nhs.wishes import the_wish

__all__ = ["module", "simulator"]

WISHES = "/api/nhs/appointments"
BOOKINGS = "/api/nhs/bookings"
OTHERS = "9476719931"
WISH = {"requested_datetime": "2026-01-06T10:00:00Z", "doctor_specialty": "Cardiology"}
BOOKING = {
    "specialty": "Cardiology",
    "date": "2026-01-06",
    "slots": ["2000011147-20260106T1000"],
}
DESKS = pytest.mark.parametrize(("path", "wish"), [(WISHES, WISH), (BOOKINGS, BOOKING)])
NOT_YOURS = "You can only book for yourself, with the NHS number in your own NHS record"
STEP_UP = "Booking at a practice requires a verified NHS number. Please verify yours first"


async def refusal(answer: httpx.Response, database: Database) -> tuple[int, str, int]:
    """Return the status, what is said, and how many events there are."""
    return answer.status_code, answer.json()["detail"], len(await published(database))


@DESKS
async def test_nobody_books_in_anothers_name(
    client: httpx.AsyncClient,
    database: Database,
    account_id: UUID,
    path: str,
    wish: dict[str, Any],
) -> None:
    await known(database, account_id)
    await known(database, uuid4(), OTHERS)
    answer = await client.post(path, json=wish | {"patient_identifier": OTHERS})
    assert await refusal(answer, database) == (403, NOT_YOURS, 0)


@DESKS
async def test_who_was_verified_by_another_department_has_no_number_to_book_with(
    client: httpx.AsyncClient, database: Database, path: str, wish: dict[str, Any]
) -> None:
    answer = await client.post(path, json=wish | {"patient_identifier": NUMBER})
    assert await refusal(answer, database) == (403, NOT_YOURS, 0)


@DESKS
async def test_who_is_not_verified_or_not_any_more_books_nothing(
    client: httpx.AsyncClient,
    database: Database,
    account_id: UUID,
    path: str,
    wish: dict[str, Any],
) -> None:
    await known(database, account_id)
    body = wish | {"patient_identifier": NUMBER}
    answer = await client.post(path, json=body, headers={"X-Assurance": "P0"})
    assert await refusal(answer, database) == (403, STEP_UP, 0)


@DESKS
async def test_ones_own_number_may_be_written_as_it_is_printed(
    client: httpx.AsyncClient,
    database: Database,
    account_id: UUID,
    path: str,
    wish: dict[str, Any],
) -> None:
    await known(database, account_id)
    answer = await client.post(path, json=wish | {"patient_identifier": "943 476 5919"})
    assert answer.status_code == 202


async def test_the_prototypes_form_is_nobodys_number_here(
    client: httpx.AsyncClient, database: Database, account_id: UUID
) -> None:
    await known(database, account_id)
    answer = await client.post(WISHES, json=WISH | {"patient_identifier": "NHS123456789"})
    assert await refusal(answer, database) == (403, NOT_YOURS, 0)


async def test_who_is_not_verified_any_more_may_cancel_but_not_move(
    client: httpx.AsyncClient, database: Database, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    await known(database, account_id)
    asked = await client.post(BOOKINGS, json=BOOKING | {"patient_identifier": NUMBER})
    await handle(handler_of(module, "nhs.booking"), await the_wish(database), uow)
    where, headers = asked.headers["location"], {"If-Match": "*", "X-Assurance": "P0"}
    move = {"date": "2026-01-06", "slots": ["2000011147-20260106T1500"]}
    moved = await client.put(where, json=move, headers=headers)
    cancelled = await client.delete(where, headers=headers)
    assert (moved.status_code, moved.json()["detail"]) == (403, STEP_UP)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")


async def test_a_wish_in_anothers_name_from_before_desks_asked_is_rejected(
    client: httpx.AsyncClient, database: Database, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    await known(database, account_id)
    await client.post(WISHES, json=WISH | {"patient_identifier": NUMBER})
    wish = await the_wish(database)
    await database.reads.execute("UPDATE nhs.patient SET nhs_number = $1", OTHERS)
    await handle(handler_of(module, "nhs.booking"), wish, uow)
    kind, told = (await published(database))[-1]
    assert (kind, told["status"], told["rejection_reason"]) == (
        "nhs.appointment.decided",
        "REJECTED",
        "The number is not that of the NHS's own record of the citizen",
    )
