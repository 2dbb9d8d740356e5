"""The NHS's answers about NHS numbers, and what it keeps of the people behind them."""

from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import structs

from govid import nhs
from govid.bus import Database, Module, Outage, UnitOfWork
from govid.bus.events import IdentifierType
from tests.integration.departments import (
    FixedClock,
    a_verification,
    find_handler,
    handle,
    published,
)
from tests.integration.nhs.conftest import SETTINGS
from tests.statements import statements

NAME = "nhs.verification"
NAMED = "9693632109"


@pytest.mark.parametrize(
    ("number", "is_verified", "error"),
    [
        ("NHS123456789", True, None),
        ("9434765919", True, None),
        ("9111231130", False, "not_matched"),
        ("9727194737", False, "not_matched"),
        ("9990003343", False, "not_matched"),
        ("9000000009", False, "not_matched"),
        ("9434765918", False, "not_matched"),
    ],
)
async def test_the_answer_follows_the_number(
    module: Module,
    uow: UnitOfWork,
    database: Database,
    account_id: UUID,
    number: str,
    is_verified: bool,
    error: str | None,
) -> None:
    delivery = a_verification(IdentifierType.NHS, number, account_id)
    await handle(find_handler(module, NAME), delivery, uow)
    assert await published(database) == [
        (
            "nhs.verification.completed",
            {
                "userId": str(account_id),
                "identifierType": "NHS",
                "isVerified": is_verified,
                "timestamp": "2026-01-05T12:00:00Z",
                "error": error,
            },
        )
    ]


@pytest.mark.parametrize(
    ("number", "expected"), [("NHS123456789", []), (NAMED, ["INSERT INTO", "INSERT INTO"])]
)
async def test_an_answer_takes_as_few_statements_as_it_can(
    module: Module,
    uow: UnitOfWork,
    database: Database,
    account_id: UUID,
    number: str,
    expected: list[str],
) -> None:
    delivery = a_verification(IdentifierType.NHS, number, account_id)
    async with statements(database.requests) as sent:
        await handle(find_handler(module, NAME), delivery, uow)
    assert sent == ["BEGIN", "COMMIT", *expected, "WITH incoming"]


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


async def test_only_requests_about_its_own_numbers_are_wanted(
    module: Module, account_id: UUID
) -> None:
    wants = {consumer.name: consumer.predicate for consumer in module.subscribers}[NAME]
    kinds = (IdentifierType.NIN, IdentifierType.NHS)
    wanted = [wants(a_verification(kind, "", account_id).event) for kind in kinds]
    assert wanted == [False, True]


async def test_without_the_nhs_a_verification_waits(
    database: Database, uow: UnitOfWork, clock: FixedClock, account_id: UUID
) -> None:
    settings = structs.replace(SETTINGS, registry="off")
    handler = find_handler(nhs.build(settings, database, uow, clock), NAME)
    with pytest.raises(Outage) as outage:
        await handler.prepare(a_verification(IdentifierType.NHS, NAMED, account_id))
    assert outage.value.dependency == "nhs"
