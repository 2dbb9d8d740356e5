"""Appointment requests for a time, with a remote NHS: the first free slot is held, then booked."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from govid.bus import Database, Delivery, Module, Outage, UnitOfWork
from govid.bus.events import (
    AccountBlocked,
    AppointmentDecided,
    AppointmentRequested,
    AppointmentSlotHeld,
)
from govid.nhs import NhsSimulator
from govid.nhs.simulator.diary import DiaryBooking
from tests.integration.departments import NOW, build_delivery, find_handler, handle, published
from tests.integration.nhs.practices import module, register_patient, simulator

__all__ = ["module", "simulator"]

PATH = "/api/nhs/appointments"
TEN = "2026-01-06T10:00:00Z"
KINDS = {
    "nhs.appointment.requested": AppointmentRequested,
    "nhs.appointment.slot_held": AppointmentSlotHeld,
    "nhs.appointment.decided": AppointmentDecided,
}


@pytest.fixture
async def client(
    client: httpx.AsyncClient, database: Database, account_id: UUID
) -> httpx.AsyncClient:
    """Return a client whose number the NHS has verified."""
    await register_patient(database, account_id)
    return client


class Dispatched:
    """Handles what was written, one event after the other, as the dispatcher would."""

    def __init__(self, module: Module, database: Database, uow: UnitOfWork) -> None:
        self.handler = find_handler(module, "nhs.booking")
        self._database = database
        self._uow = uow

    async def all(self) -> list[Delivery[Any]]:
        return [
            build_delivery(msgspec.convert(payload, KINDS[kind]))
            for kind, payload in await published(self._database)
        ]

    async def latest(self) -> Delivery[Any]:
        return (await self.all())[-1]

    async def apply(self, delivery: Delivery[Any], outcome: Any) -> None:
        async with self._uow.begin(delivery.operation_context("tests")) as tx:
            await self.handler.apply(tx, delivery, outcome)

    async def step(self) -> tuple[str, dict[str, Any]]:
        """Handle the latest event, and return what is the latest then."""
        await handle(self.handler, await self.latest(), self._uow)
        return (await published(self._database))[-1]

    async def answer(self) -> dict[str, Any]:
        """Handle a request: find a slot, and book it; return the published decision."""
        await self.step()
        kind, reported = await self.step()
        assert kind == "nhs.appointment.decided"
        return reported


@pytest.fixture
def dispatched(module: Module, database: Database, uow: UnitOfWork) -> Dispatched:
    return Dispatched(module, database, uow)


async def ask(client: httpx.AsyncClient, *, account: UUID | None = None, **others: str) -> str:
    """Ask for an appointment, as *account* or as the client's own; return its address."""
    body = {
        "patient_identifier": "943 476 5919",
        "requested_datetime": TEN,
        "doctor_specialty": "cardiology",
        "reason": "Palpitations " * 20,
    }
    headers = {} if account is None else {"X-Account": str(account)}
    answer = await client.post(PATH, json=body | others, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "REQUESTED")
    return f"{PATH}/{answer.json()['appointment_id']}"


def take_elsewhere(simulator: NhsSimulator, slot_id: str) -> None:
    """Book at the practice directly, without govid."""
    slot = simulator.diary.find_slot(slot_id)
    assert slot is not None
    simulator.diary.book(
        DiaryBooking(
            id=str(uuid4()), slots=(slot_id,), patient="9693632109", start=slot.start, end=slot.end
        )
    )


async def test_an_appointment_request_gets_its_time_where_it_is_free_and_the_practice_knows(
    client: httpx.AsyncClient, dispatched: Dispatched, simulator: NhsSimulator
) -> None:
    where = await ask(client)
    assert (await dispatched.step())[0] == "nhs.appointment.slot_held"
    kind, reported = await dispatched.step()
    assert (
        kind,
        reported["status"],
        reported["confirmed_datetime"],
        reported["confirmation_details"],
    ) == (
        "nhs.appointment.decided",
        "CONFIRMED",
        TEN,
        "cardiology, 06 January 2026 at 10:00",
    )
    (entry,) = simulator.diary.list_for_patient("9434765919")
    assert (entry.status, entry.booking.slots) == ("booked", ("2000011147-20260106T1000",))
    assert entry.booking.description == ("Palpitations " * 7).strip() + " ..."
    found = await client.get(where)
    assert (found.json()["status"], found.json()["doctor_specialty"]) == ("CONFIRMED", "cardiology")


async def test_an_appointment_request_for_a_time_that_is_gone_gets_the_next_of_that_day(
    client: httpx.AsyncClient, dispatched: Dispatched, simulator: NhsSimulator
) -> None:
    take_elsewhere(simulator, "2000011147-20260106T1000")
    take_elsewhere(simulator, "2000011147-20260106T1015")
    await ask(client)
    reported = await dispatched.answer()
    assert (reported["status"], reported["confirmed_datetime"]) == (
        "CONFIRMED",
        "2026-01-06T10:30:00Z",
    )


async def test_two_who_ask_for_the_same_time_get_two_times(
    client: httpx.AsyncClient, dispatched: Dispatched, database: Database
) -> None:
    await ask(client)
    first = await dispatched.latest()
    await ask(client, account=await register_patient(database, uuid4()))
    second = await dispatched.latest()
    found = [await dispatched.handler.prepare(one) for one in (first, second)]
    await dispatched.apply(first, found[0])
    await dispatched.apply(second, found[1])
    held = await database.reads.fetch("SELECT slot_id FROM nhs.held_slot ORDER BY slot_id")
    assert [row["slot_id"] for row in held] == [
        "2000011147-20260106T1000",
        "2000011147-20260106T1015",
    ]


async def test_one_citizen_is_at_one_place_at_a_time(
    client: httpx.AsyncClient, dispatched: Dispatched
) -> None:
    await ask(client)
    await dispatched.answer()
    await ask(client, doctor_specialty="Dermatology")
    reported = await dispatched.answer()
    assert (reported["status"], reported["confirmed_datetime"]) == (
        "CONFIRMED",
        "2026-01-06T10:15:00Z",
    )


@pytest.mark.parametrize(
    ("appointment_request", "reason"),
    [
        ({"doctor_specialty": "Alchemy"}, "No practice has this specialty"),
        ({"requested_datetime": "2026-01-05T11:59:59Z"}, "The requested time has passed"),
        (
            {"requested_datetime": "2026-01-06T17:00:00Z"},
            "No time is free on that day from the requested one on",
        ),
        (
            {"requested_datetime": "2026-07-01T09:30:00Z"},
            "No time is free on that day from the requested one on",
        ),
    ],
)
async def test_what_no_one_can_grant_is_rejected_with_the_reason(
    client: httpx.AsyncClient,
    dispatched: Dispatched,
    appointment_request: dict[str, str],
    reason: str,
) -> None:
    await ask(client, **appointment_request)
    kind, reported = await dispatched.step()
    assert (kind, reported["status"], reported["rejection_reason"]) == (
        "nhs.appointment.decided",
        "REJECTED",
        reason,
    )


async def test_while_the_practice_is_away_an_appointment_request_waits(
    client: httpx.AsyncClient, dispatched: Dispatched, simulator: NhsSimulator
) -> None:
    simulator.faults.set_fault("503")
    await ask(client)
    with pytest.raises(Outage):
        await dispatched.step()
    simulator.faults.set_fault("")
    assert (await dispatched.answer())["status"] == "CONFIRMED"


async def test_an_appointment_request_that_is_cancelled_while_a_time_is_looked_for_holds_nothing(
    client: httpx.AsyncClient, dispatched: Dispatched, database: Database
) -> None:
    where = await ask(client)
    appointment_request = await dispatched.latest()
    outcome = await dispatched.handler.prepare(appointment_request)
    await client.delete(where, headers={"If-Match": "*"})
    await dispatched.apply(appointment_request, outcome)
    assert [kind for kind, _ in await published(database)] == [
        "nhs.appointment.requested",
        "nhs.appointment.decided",
    ]
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.held_slot") == 0


async def test_an_appointment_request_that_was_granted_can_be_moved_and_cancelled_at_the_practice(
    client: httpx.AsyncClient, dispatched: Dispatched, simulator: NhsSimulator
) -> None:
    where = await ask(client)
    await dispatched.answer()
    move = {"date": "2026-01-06", "slots": ["2000011147-20260106T1500"]}
    moved = await client.put(where, json=move, headers={"If-Match": "*"})
    assert moved.status_code == 202
    assert (await dispatched.step())[1]["confirmed_datetime"] == "2026-01-06T15:00:00Z"
    await client.delete(where, headers={"If-Match": "*"})
    await dispatched.step()
    assert [one.status for one in simulator.diary.list_for_patient("9434765919")] == ["cancelled"]


async def test_a_block_gives_up_what_an_appointment_request_has_got(
    client: httpx.AsyncClient,
    dispatched: Dispatched,
    simulator: NhsSimulator,
    module: Module,
    uow: UnitOfWork,
    account_id: UUID,
) -> None:
    await ask(client)
    await dispatched.answer()
    blocked = build_delivery(AccountBlocked(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, "nhs.appointments"), blocked, uow)
    await dispatched.step()
    assert [one.status for one in simulator.diary.list_for_patient("9434765919")] == ["cancelled"]


async def test_r20_of_twenty_appointment_requests_for_one_time_each_gets_a_slot_of_its_own(
    client: httpx.AsyncClient, dispatched: Dispatched, database: Database
) -> None:
    citizens = [await register_patient(database, uuid4()) for _ in range(20)]
    await asyncio.gather(*(ask(client, account=citizen) for citizen in citizens))
    wishes = await dispatched.all()
    found = await asyncio.gather(*(dispatched.handler.prepare(one) for one in wishes))
    await asyncio.gather(*map(dispatched.apply, wishes, found))
    held = await database.reads.fetchval("SELECT count(DISTINCT slot_id) FROM nhs.held_slot")
    assert held == 20
