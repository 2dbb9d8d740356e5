"""When an account is blocked, its future appointments are cancelled, and no new one is made."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from govid.bus import BlockedAccounts, Database, Delivery, Module, OperationContext, UnitOfWork
from govid.bus.events import AccountBlocked, AccountRestored
from govid.nhs.models import Account
from govid.nhs.repository import AppointmentRepository
from govid.nhs.schemas import RequestAppointment
from tests.integration.departments import (
    NOW,
    FixedClock,
    build_delivery,
    find_handler,
    handle,
    published,
    wait_for_blocked_session,
    wait_until,
)
from tests.integration.nhs.appointment_requests import (
    BODY,
    PATH,
    latest_request,
    request_appointment,
)

NAME = "nhs.appointments"


def blocked(account_id: UUID) -> Delivery[Any]:
    return build_delivery(AccountBlocked(account_id=account_id, timestamp=NOW))


def restored(account_id: UUID) -> Delivery[Any]:
    return build_delivery(AccountRestored(account_id=account_id, timestamp=NOW))


async def statuses(client: httpx.AsyncClient, *asked: dict[str, Any]) -> list[str]:
    answers = [await client.get(f"{PATH}/{one['appointment_id']}") for one in asked]
    return [answer.json()["status"] for answer in answers]


async def test_what_lies_ahead_is_cancelled(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    confirmed = await request_appointment(client)
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    requested = await request_appointment(client)
    anothers = (await client.post(PATH, json=BODY, headers={"X-Account": str(uuid4())})).json()
    before = len(await published(database))
    await handle(find_handler(module, NAME), blocked(account_id), uow)

    assert await statuses(client, confirmed, requested) == ["CANCELLED", "CANCELLED"]
    events = (await published(database))[before:]
    assert {kind for kind, _ in events} == {"nhs.appointment.decided"}
    assert {event["appointment_id"] for _, event in events} == {
        confirmed["appointment_id"],
        requested["appointment_id"],
    }
    assert anothers["appointment_id"] not in {event["appointment_id"] for _, event in events}


async def test_a_cancellation_is_published_in_the_contracts_shape(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await request_appointment(client)
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    assert (await published(database))[1:] == [
        (
            "nhs.appointment.decided",
            {
                "appointment_id": asked["appointment_id"],
                "user_id": str(account_id),
                "status": "CANCELLED",
                "confirmed_datetime": None,
                "confirmation_details": None,
                "rejection_reason": "account_blocked",
                "timestamp": "2026-01-05T12:00:00Z",
            },
        )
    ]


async def test_what_is_past_stays_as_it_was(
    client: httpx.AsyncClient,
    module: Module,
    uow: UnitOfWork,
    clock: FixedClock,
    account_id: UUID,
    database: Database,
) -> None:
    attended = await request_appointment(client)
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    clock.time = NOW.replace(year=2027)
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    assert await statuses(client, attended) == ["CONFIRMED"]


async def test_a_cancelled_appointment_request_is_not_confirmed_any_more(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await request_appointment(client)
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    assert await statuses(client, asked) == ["CANCELLED"]
    assert len(await published(database)) == 2


async def test_an_appointment_request_for_a_time_that_has_passed_is_cancelled_before_it_is_decided(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await request_appointment(client, requested_datetime="2025-01-05T12:00:00Z")
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    await handle(find_handler(module, "nhs.booking"), await latest_request(database), uow)
    assert await statuses(client, asked) == ["CANCELLED"]
    assert len(await published(database)) == 2


async def test_why_an_appointment_was_cancelled_is_kept(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    await request_appointment(client)
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    await handle(find_handler(module, NAME), restored(account_id), uow)
    query = "SELECT status, cancellation_reason FROM nhs.appointment"
    assert tuple(await database.reads.fetchrow(query)) == ("CANCELLED", "account_blocked")


async def test_a_booking_under_way_is_decided_or_cancelled_and_never_both(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await request_appointment(client)
    appointment_request = await latest_request(database)
    await asyncio.gather(
        handle(find_handler(module, "nhs.booking"), appointment_request, uow),
        handle(find_handler(module, NAME), blocked(account_id), uow),
    )
    assert await statuses(client, asked) == ["CANCELLED"]
    assert (await published(database))[-1][1]["status"] == "CANCELLED"


async def test_a_blocked_account_books_nothing(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    answer = await client.post(PATH, json=BODY)
    assert (answer.status_code, answer.json()["detail"]) == (403, "Account is blocked")
    assert await published(database) == []


async def test_a_restored_account_books_again_and_gets_nothing_back(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    cancelled = await request_appointment(client)
    await handle(find_handler(module, NAME), blocked(account_id), uow)
    await handle(find_handler(module, NAME), restored(account_id), uow)
    asked = await request_appointment(client)
    assert await statuses(client, cancelled, asked) == ["CANCELLED", "REQUESTED"]


@pytest.mark.parametrize("delivery", [blocked, restored])
async def test_an_account_that_never_booked_is_no_problem(
    module: Module, uow: UnitOfWork, account_id: UUID, database: Database, delivery: Any
) -> None:
    await handle(find_handler(module, NAME), delivery(account_id), uow)
    assert await published(database) == []


async def test_a_block_waits_for_a_booking_under_way_and_cancels_it(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    async with uow.begin(OperationContext(correlation_id="c-1")) as tx:
        await BlockedAccounts(Account.__table__).lock_and_check(tx, account_id)
        appointment_request = msgspec.convert(BODY, RequestAppointment)
        booked = await AppointmentRepository(database.requests).insert_request(
            tx, account_id, appointment_request
        )
        blocking = asyncio.create_task(handle(find_handler(module, NAME), blocked(account_id), uow))
        await wait_until(wait_for_blocked_session(database))
    await blocking
    assert await statuses(client, msgspec.to_builtins(booked.view)) == ["CANCELLED"]


async def test_a_booking_waits_for_a_block_under_way_and_is_refused(
    client: httpx.AsyncClient, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    async with uow.begin(OperationContext(correlation_id="c-1")) as tx:
        await BlockedAccounts(Account.__table__).block(tx, account_id)
        booking = asyncio.create_task(client.post(PATH, json=BODY))
        await wait_until(wait_for_blocked_session(database))
    assert (await booking).status_code == 403
    assert await published(database) == []
