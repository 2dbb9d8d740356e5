"""Verification of NHS numbers by form: the patient that is kept, or is not."""

from uuid import UUID, uuid4

import httpx

from govid.bus import Database, Module, UnitOfWork
from govid.bus.events import IdentifierType
from tests.integration.departments import a_verification, find_handler, handle

NAME = "nhs.verification"
NAMED = "9693632109"


async def test_a_person_whom_the_registry_names_becomes_a_patient(
    module: Module, uow: UnitOfWork, account_id: UUID, client: httpx.AsyncClient
) -> None:
    delivery = a_verification(IdentifierType.NHS, NAMED, account_id)
    await handle(find_handler(module, NAME), delivery, uow)
    [patient] = (await client.get("/api/nhs/patients")).json()
    assert (patient["name"], patient["nhsNumber"]) == ("Bill Garton", NAMED)


async def test_a_newer_record_takes_the_place_of_the_older(
    module: Module, uow: UnitOfWork, account_id: UUID, client: httpx.AsyncClient
) -> None:
    handler = find_handler(module, NAME)
    await handle(handler, a_verification(IdentifierType.NHS, NAMED, account_id), uow)
    [before] = (await client.get("/api/nhs/patients")).json()
    await handle(handler, a_verification(IdentifierType.NHS, "9732110317", account_id), uow)
    [after] = (await client.get("/api/nhs/patients")).json()
    assert (after["name"], after["nhsNumber"]) == ("Adrian Sanderson", "9732110317")
    assert (after["id"], after["patientId"]) == (before["id"], before["patientId"])


async def verify(module: Module, uow: UnitOfWork, people: int) -> None:
    """Answer about so many people, one after the other and so on one connection."""
    for _ in range(people):
        await handle(
            find_handler(module, NAME), a_verification(IdentifierType.NHS, NAMED, uuid4()), uow
        )


async def test_the_tenth_person_becomes_a_patient_like_the_first(
    module: Module, uow: UnitOfWork, database: Database
) -> None:
    await verify(module, uow, 10)
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.patient") == 10


async def test_a_person_whom_the_registry_does_not_match_leaves_no_trace(
    module: Module, uow: UnitOfWork, account_id: UUID, client: httpx.AsyncClient
) -> None:
    delivery = a_verification(IdentifierType.NHS, "9000000009", account_id)
    await handle(find_handler(module, NAME), delivery, uow)
    assert (await client.get("/api/nhs/patients")).json() == []
