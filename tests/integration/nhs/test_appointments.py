"""Appointments over HTTP: the request, the decision, and who may see them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import structs

from govid import nhs
from govid.bus import Database, Module, Outage, UnitOfWork
from tests.integration.departments import (
    NOW,
    FixedClock,
    find_handler,
    handle,
    published,
    serving,
)
from tests.integration.nhs.appointment_requests import (
    BODY,
    PATH,
    latest_request,
    request_appointment,
)
from tests.integration.nhs.conftest import SETTINGS
from tests.statements import statements

DECIDED = "nhs.appointment.decided"


async def test_an_appointment_request_is_answered_in_the_contracts_shape(
    client: httpx.AsyncClient, account_id: UUID
) -> None:
    answer = await client.post(PATH, json=BODY)
    assert answer.status_code == 202
    assert answer.json() == {
        "appointment_id": str(UUID(answer.json()["appointment_id"])),
        "user_id": str(account_id),
        "patient_identifier": "943 476 5919",
        "requested_datetime": "2026-07-01T08:30:00Z",
        "doctor_specialty": "Cardiology",
        "reason": "Palpitations",
        "status": "REQUESTED",
        "confirmed_datetime": None,
        "confirmation_details": None,
        "created_at": "2026-01-05T12:00:00Z",
        "updated_at": "2026-01-05T12:00:00Z",
    }


async def test_an_appointment_request_is_published_in_the_contracts_shape(
    client: httpx.AsyncClient, database: Database
) -> None:
    asked = await request_appointment(client)
    assert await published(database) == [
        (
            "nhs.appointment.requested",
            {
                "appointment_id": asked["appointment_id"],
                "user_id": asked["user_id"],
                "patient_identifier": "943 476 5919",
                "requested_datetime": "2026-07-01T08:30:00Z",
                "doctor_specialty": "Cardiology",
                "reason": "Palpitations",
                "timestamp": "2026-01-05T12:00:00Z",
                "correlation_id": "c-1",
            },
        )
    ]


async def test_an_appointment_request_is_three_statements(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with statements(database.requests) as sent:
        await request_appointment(client)
    assert sent == ["BEGIN", "COMMIT", "INSERT INTO", "INSERT INTO", "WITH incoming"]


async def test_an_appointment_is_looked_up_by_its_id(client: httpx.AsyncClient) -> None:
    asked = await request_appointment(client)
    found = await client.get(f"{PATH}/{asked['appointment_id']}")
    assert (found.status_code, found.json()) == (200, asked)


async def test_anothers_appointment_is_like_none(client: httpx.AsyncClient) -> None:
    asked = await request_appointment(client)
    stranger = {"X-Account": str(uuid4())}
    anothers = await client.get(f"{PATH}/{asked['appointment_id']}", headers=stranger)
    missing = await client.get(f"{PATH}/{uuid4()}", headers=stranger)
    assert (anothers.status_code, anothers.content) == (404, missing.content)
    assert anothers.headers == missing.headers


@pytest.mark.parametrize(
    "malformed", ["none", "1", "%00", "P10001", "62002eee-ba9a-4a89-8196-5bc7ae840a320"]
)
async def test_a_malformed_id_is_not_found(client: httpx.AsyncClient, malformed: str) -> None:
    assert (await client.get(f"{PATH}/{malformed}")).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"requested_datetime": "2026-03-29T01:30:00"}, "requested_datetime"),
        ({"requested_datetime": "2026-10-25T01:30:00"}, "requested_datetime"),
        ({"requested_datetime": "0001-01-01T00:00:00+01:00"}, "requested_datetime"),
        ({"requested_datetime": "soon"}, "requested_datetime"),
        ({"requested_datetime": 1767625200}, "requested_datetime"),
        ({"patient_identifier": ""}, "patient_identifier"),
        ({"doctor_specialty": "x" * 101}, "doctor_specialty"),
        ({"reason": "x" * 10_001}, "reason"),
        ({"status": "CONFIRMED"}, "status"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, database: Database, wrong: dict[str, object], field: str
) -> None:
    answer = await client.post(PATH, json=BODY | wrong)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", field])
    assert await published(database) == []


async def test_a_coming_time_is_confirmed(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, database: Database
) -> None:
    asked = await request_appointment(client)
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    assert await find(client, asked) == asked | {
        "status": "CONFIRMED",
        "confirmed_datetime": "2026-07-01T08:30:00Z",
        "confirmation_details": "Cardiology, 01 July 2026 at 09:30",
    }
    assert (await published(database))[1:] == [
        (
            DECIDED,
            {
                "appointment_id": asked["appointment_id"],
                "user_id": asked["user_id"],
                "status": "CONFIRMED",
                "confirmed_datetime": "2026-07-01T08:30:00Z",
                "confirmation_details": "Cardiology, 01 July 2026 at 09:30",
                "rejection_reason": None,
                "timestamp": "2026-01-05T12:00:00Z",
            },
        )
    ]


@pytest.mark.parametrize("moment", [NOW, NOW - timedelta(days=1)])
async def test_a_time_that_has_passed_is_rejected(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, database: Database, moment: datetime
) -> None:
    asked = await request_appointment(client, requested_datetime=moment.isoformat())
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    assert await find(client, asked) == asked | {"status": "REJECTED"}
    [_, (kind, event)] = await published(database)
    assert (kind, event["status"], event["rejection_reason"]) == (
        DECIDED,
        "REJECTED",
        "The requested time has passed",
    )


async def test_a_decision_is_made_once(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, database: Database
) -> None:
    asked = await request_appointment(client)
    appointment_request = await latest_request(database)
    await handle(find_handler(module, "nhs.booking"), appointment_request, uow)
    await handle(find_handler(module, "nhs.booking"), appointment_request, uow)
    assert (await find(client, asked))["status"] == "CONFIRMED"
    assert len(await published(database)) == 2


async def test_a_decision_is_three_statements(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, database: Database
) -> None:
    await request_appointment(client)
    appointment_request = await latest_request(database)
    async with statements(database.requests) as sent:
        await handle(find_handler(module, "nhs.booking"), appointment_request, uow)
    assert sent == [
        "BEGIN",
        "COMMIT",
        "SELECT nhs.appointment.id,",
        "UPDATE nhs.appointment",
        "WITH incoming",
    ]


async def test_without_the_nhs_no_appointment_request_is_taken_and_an_old_one_waits(
    client: httpx.AsyncClient,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
    account_id: UUID,
) -> None:
    await request_appointment(client)
    off = nhs.build(structs.replace(SETTINGS, registry="off"), database, uow, clock)
    async with serving(off, account_id) as unconnected:
        answer = await unconnected.post(PATH, json=BODY)
    assert (answer.status_code, len(await published(database))) == (503, 1)
    with pytest.raises(Outage) as outage:
        await find_handler(off, "nhs.booking").prepare(await latest_request(database))
    assert outage.value.dependency == "nhs"


async def find(client: httpx.AsyncClient, asked: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"{PATH}/{asked['appointment_id']}")).json()
    return found
