"""When an account is closed, future appointments are cancelled and personal data is erased."""

from uuid import UUID

import httpx

from govid.bus import Database, Module, UnitOfWork
from govid.bus.events import AccountClosed, IdentifierType
from tests.integration.departments import (
    NOW,
    a_verification,
    build_delivery,
    find_handler,
    handle,
    published,
)
from tests.integration.nhs.appointment_requests import BODY, PATH, request_appointment

PATIENT = {"name": "Ada", "nhsNumber": "9434765919", "medicalHistory": "Hay fever"}
NAMED = "9693632109"


async def close(module: Module, uow: UnitOfWork, account_id: UUID) -> None:
    closed = build_delivery(AccountClosed(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, "nhs.appointments"), closed, uow)


async def test_what_lies_ahead_is_cancelled_and_names_no_one(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    await request_appointment(client)
    await close(module, uow, account_id)
    row = await database.reads.fetchrow("SELECT * FROM nhs.appointment")
    assert (row["status"], row["patient_identifier"], row["reason"]) == (
        "CANCELLED",
        "erased",
        None,
    )
    assert [kind for kind, _ in await published(database)] == [
        "nhs.appointment.requested",
        "nhs.appointment.decided",
    ]


async def test_patient_records_are_erased(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    assert (await client.post("/api/nhs/patients", json=PATIENT)).status_code == 201
    await close(module, uow, account_id)
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.patient") == 0


async def test_nothing_is_booked_afterwards(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    await close(module, uow, account_id)
    assert (await client.post(PATH, json=BODY)).status_code == 403


async def test_an_answer_that_comes_afterwards_leaves_no_record(
    module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    await close(module, uow, account_id)
    late = a_verification(IdentifierType.NHS, NAMED, account_id)
    await handle(find_handler(module, "nhs.verification"), late, uow)
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.patient") == 0
    assert [kind for kind, _ in await published(database)] == ["nhs.verification.completed"]
