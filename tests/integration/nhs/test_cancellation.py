"""When an account is blocked, its future appointments go, and no new one slips through."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from govid.bus import Cause, Database, Delivery, Module, UnitOfWork
from govid.bus.contracts import AccountBlocked, AccountRestored
from govid.nhs.repository import Accounts, Appointments
from govid.nhs.schemas import RequestAppointment
from tests.integration.departments import (
    NOW,
    StandingClock,
    delivery_of,
    handle,
    handler_of,
    published,
    somebody_waits,
    until,
)
from tests.integration.nhs.wishes import BODY, PATH, ask, latest_request

NAME = "nhs.appointments"


def blocked(account_id: UUID) -> Delivery[Any]:
    return delivery_of(AccountBlocked(account_id=account_id, timestamp=NOW))


def restored(account_id: UUID) -> Delivery[Any]:
    return delivery_of(AccountRestored(account_id=account_id, timestamp=NOW))


async def statuses(client: httpx.AsyncClient, *asked: dict[str, Any]) -> list[str]:
    answers = [await client.get(f"{PATH}/{one['appointment_id']}") for one in asked]
    return [answer.json()["status"] for answer in answers]


async def test_what_lies_ahead_is_cancelled(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    confirmed = await ask(client)
    await handle(handler_of(module, "nhs.booking"), await latest_request(database), uow)
    requested = await ask(client)
    anothers = (await client.post(PATH, json=BODY, headers={"X-Account": str(uuid4())})).json()
    before = len(await published(database))
    await handle(handler_of(module, NAME), blocked(account_id), uow)

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
    asked = await ask(client)
    await handle(handler_of(module, NAME), blocked(account_id), uow)
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
    clock: StandingClock,
    account_id: UUID,
    database: Database,
) -> None:
    attended = await ask(client)
    await handle(handler_of(module, "nhs.booking"), await latest_request(database), uow)
    clock.time = NOW.replace(year=2027)
    await handle(handler_of(module, NAME), blocked(account_id), uow)
    assert await statuses(client, attended) == ["CONFIRMED"]


async def test_a_cancelled_appointment_request_is_not_confirmed_any_more(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await ask(client)
    await handle(handler_of(module, NAME), blocked(account_id), uow)
    await handle(handler_of(module, "nhs.booking"), await latest_request(database), uow)
    assert await statuses(client, asked) == ["CANCELLED"]
    assert len(await published(database)) == 2


async def test_an_appointment_request_for_a_time_that_has_passed_is_cancelled_before_it_is_decided(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await ask(client, requested_datetime="2025-01-05T12:00:00Z")
    await handle(handler_of(module, NAME), blocked(account_id), uow)
    await handle(handler_of(module, "nhs.booking"), await latest_request(database), uow)
    assert await statuses(client, asked) == ["CANCELLED"]
    assert len(await published(database)) == 2


async def test_why_an_appointment_was_cancelled_is_kept(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    await ask(client)
    await handle(handler_of(module, NAME), blocked(account_id), uow)
    await handle(handler_of(module, NAME), restored(account_id), uow)
    query = "SELECT status, cancellation_reason FROM nhs.appointment"
    assert tuple(await database.reads.fetchrow(query)) == ("CANCELLED", "account_blocked")


async def test_a_booking_under_way_is_decided_or_cancelled_and_never_both(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    asked = await ask(client)
    appointment_request = await latest_request(database)
    await asyncio.gather(
        handle(handler_of(module, "nhs.booking"), appointment_request, uow),
        handle(handler_of(module, NAME), blocked(account_id), uow),
    )
    assert await statuses(client, asked) == ["CANCELLED"]
    assert (await published(database))[-1][1]["status"] == "CANCELLED"


async def test_a_blocked_account_books_nothing(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    await handle(handler_of(module, NAME), blocked(account_id), uow)
    answer = await client.post(PATH, json=BODY)
    assert (answer.status_code, answer.json()["detail"]) == (403, "Account is blocked")
    assert await published(database) == []


async def test_a_restored_account_books_again_and_gets_nothing_back(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    cancelled = await ask(client)
    await handle(handler_of(module, NAME), blocked(account_id), uow)
    await handle(handler_of(module, NAME), restored(account_id), uow)
    asked = await ask(client)
    assert await statuses(client, cancelled, asked) == ["CANCELLED", "REQUESTED"]


@pytest.mark.parametrize("delivery", [blocked, restored])
async def test_an_account_that_never_booked_is_no_problem(
    module: Module, uow: UnitOfWork, account_id: UUID, database: Database, delivery: Any
) -> None:
    await handle(handler_of(module, NAME), delivery(account_id), uow)
    assert await published(database) == []


async def test_a_block_waits_for_a_booking_under_way_and_cancels_it(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    async with uow.begin(Cause(correlation_id="c-1")) as tx:
        await Accounts().lock(tx, account_id)
        appointment_request = msgspec.convert(BODY, RequestAppointment)
        booked = await Appointments(database.requests).add(tx, account_id, appointment_request)
        blocking = asyncio.create_task(handle(handler_of(module, NAME), blocked(account_id), uow))
        await until(somebody_waits(database))
    await blocking
    assert await statuses(client, msgspec.to_builtins(booked.view)) == ["CANCELLED"]


async def test_a_booking_waits_for_a_block_under_way_and_is_refused(
    client: httpx.AsyncClient, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    async with uow.begin(Cause(correlation_id="c-1")) as tx:
        await Accounts().block(tx, account_id)
        booking = asyncio.create_task(client.post(PATH, json=BODY))
        await until(somebody_waits(database))
    assert (await booking).status_code == 403
    assert await published(database) == []
