"""Slots of practices: booked once, moved, cancelled, and nothing is lost between two systems."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from govid import nhs
from govid.bus import Database, Delivery, Module, Outage, UnitOfWork
from govid.bus.events import AccountBlocked, AccountClosed, AppointmentDecided, AppointmentRequested
from govid.nhs import NhsSimulator
from govid.nhs.clients import factory
from govid.nhs.simulator.diary import DiaryBooking
from tests.integration.departments import (
    NOW,
    FixedClock,
    build_delivery,
    find_handler,
    handle,
    published,
)
from tests.integration.nhs.conftest import SETTINGS

SLOTS = "/api/nhs/slots"
BOOKINGS = "/api/nhs/bookings"
APPOINTMENTS = "/api/nhs/appointments"
TUESDAY = "2026-01-06"
KINDS = {
    "nhs.appointment.requested": AppointmentRequested,
    "nhs.appointment.decided": AppointmentDecided,
}
UNDECIDED = "The practice has not answered yet. You can move the appointment after it has answered"
KEY = {"Idempotency-Key": "k-1"}
STRANGER = {"X-Account": str(uuid4())}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> list[NhsSimulator]:
    """Return where the module's own simulator will be found."""
    made: list[NhsSimulator] = []

    def make(**options: Any) -> NhsSimulator:
        made.append(NhsSimulator(**options))
        return made[0]

    monkeypatch.setattr(factory, "NhsSimulator", make)
    return made


@pytest.fixture
async def module(
    simulator: list[NhsSimulator],
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
) -> AsyncIterator[Module]:
    module = nhs.build(SETTINGS, database, uow, clock)
    yield module
    await module.stops[0]()


class Practice:
    """Handles stored booking events, as the dispatcher would."""

    def __init__(self, module: Module, database: Database, uow: UnitOfWork) -> None:
        self._handler = find_handler(module, "nhs.booking")
        self._database = database
        self._uow = uow

    async def latest(self) -> Delivery[Any]:
        kind, payload = (await published(self._database))[-1]
        return build_delivery(msgspec.convert(payload, KINDS[kind]))

    async def answer(self) -> dict[str, Any]:
        """Handle the latest event, and return the latest one after that."""
        await handle(self._handler, await self.latest(), self._uow)
        return (await published(self._database))[-1][1]

    async def prepare(self) -> Any:
        return await self._handler.prepare(await self.latest())


@pytest.fixture
def calls(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Return what counts how often practices were asked for their times."""
    caplog.set_level(logging.INFO, "govid.bus.upstream.client")

    def count() -> int:
        return sum(vars(one).get("operation") == "slots.find" for one in caplog.records)

    return count


@pytest.fixture
def practice(module: Module, database: Database, uow: UnitOfWork) -> Practice:
    return Practice(module, database, uow)


async def free(client: httpx.AsyncClient, day: str = TUESDAY) -> list[str]:
    answer = await client.get(SLOTS, params={"specialty": "cardiology", "date": day})
    assert answer.status_code == 200
    return [one["slot_id"] for one in answer.json()]


def appointment_request(
    *slots: str, day: str = TUESDAY, number: str = "943 476 5919"
) -> dict[str, Any]:
    return {
        "specialty": "cardiology",
        "date": day,
        "slots": slots,
        "patient_identifier": number,
        "reason": "Palpitations",
    }


async def booked(client: httpx.AsyncClient, practice: Practice, *slots: str) -> str:
    """Book *slots* with the practice's consent, and return the appointment's address."""
    answer = await client.post(BOOKINGS, json=appointment_request(*slots))
    assert answer.status_code == 202
    await practice.answer()
    return str(answer.headers["location"])


async def test_free_slots_are_reported(client: httpx.AsyncClient) -> None:
    answer = await client.get(SLOTS, params={"specialty": "cardiology", "date": TUESDAY})
    assert len(answer.json()) == 28
    assert answer.json()[0] == {
        "slot_id": "2000011147-20260106T0900",
        "specialty": "Cardiology",
        "starts_at": "2026-01-06T09:00:00Z",
        "ends_at": "2026-01-06T09:15:00Z",
    }


@pytest.mark.parametrize("day", ["2026-01-04", "2026-01-05", "2027-01-05", "0001-01-01"])
async def test_on_other_days_nothing_is_free(client: httpx.AsyncClient, day: str) -> None:
    assert await free(client, day) == []


async def test_a_booking_is_held_published_and_then_confirmed(
    client: httpx.AsyncClient, practice: Practice, database: Database
) -> None:
    first, second, *_ = await free(client)
    answer = await client.post(BOOKINGS, json=appointment_request(first, second))
    asked = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (202, '"1"')
    assert (asked["status"], asked["requested_datetime"], asked["doctor_specialty"]) == (
        "REQUESTED",
        "2026-01-06T09:00:00Z",
        "Cardiology",
    )
    assert await published(database) == [
        (
            "nhs.appointment.requested",
            {
                "appointment_id": asked["appointment_id"],
                "user_id": asked["user_id"],
                "patient_identifier": "9434765919",
                "requested_datetime": "2026-01-06T09:00:00Z",
                "doctor_specialty": "Cardiology",
                "reason": "Palpitations",
                "timestamp": "2026-01-05T12:00:00Z",
                "correlation_id": "c-1",
            },
        )
    ]
    assert {first, second}.isdisjoint(await free(client))
    assert await practice.answer() == {
        "appointment_id": asked["appointment_id"],
        "user_id": asked["user_id"],
        "status": "CONFIRMED",
        "confirmed_datetime": "2026-01-06T09:00:00Z",
        "confirmation_details": "Cardiology, 06 January 2026 at 09:00",
        "rejection_reason": None,
        "timestamp": "2026-01-05T12:00:00Z",
    }
    found = await client.get(answer.headers["location"])
    assert (found.json()["status"], found.headers["etag"]) == ("CONFIRMED", '"2"')
    listed = await client.get(APPOINTMENTS)
    assert listed.json() == [found.json()]
    assert (await client.get(APPOINTMENTS, headers=STRANGER)).json() == []


async def test_r20_of_fifty_at_once_one_gets_the_slot(
    client: httpx.AsyncClient, database: Database
) -> None:
    first, *_ = await free(client)
    answers = await asyncio.gather(
        *(
            client.post(
                BOOKINGS, json=appointment_request(first), headers={"X-Account": str(uuid4())}
            )
            for _ in range(50)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 49
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.appointment") == 1
    assert len(await published(database)) == 1


@pytest.mark.parametrize("assurance", ["P0"])
@pytest.mark.parametrize("specialty", ["cardiology", "Dermatology", "General practice"])
async def test_e2_times_are_shown_to_verified_accounts_only(
    client: httpx.AsyncClient, calls: Callable[[], int], assurance: str, specialty: str
) -> None:
    answer = await client.get(
        SLOTS,
        params={"specialty": specialty, "date": TUESDAY},
        headers={"X-Assurance": assurance},
    )
    assert (answer.status_code, calls()) == (403, 0)


async def test_e2_a_hundred_who_look_at_one_day_are_one_call_to_the_practice(
    client: httpx.AsyncClient, calls: Callable[[], int]
) -> None:
    answers = await asyncio.gather(
        *(
            client.get(
                SLOTS,
                params={"specialty": "cardiology", "date": TUESDAY},
                headers={"X-Account": str(uuid4())},
            )
            for _ in range(100)
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    assert calls() == 1
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    ("specialty", "day"), [("dermatology", TUESDAY), ("cardiology", "2026-01-07")]
)
async def test_e2_another_practice_or_day_is_another_call(
    client: httpx.AsyncClient, calls: Callable[[], int], specialty: str, day: str
) -> None:
    await free(client)
    await client.get(SLOTS, params={"specialty": specialty, "date": day})
    await free(client)
    assert calls() == 2


async def test_e2_a_slot_that_is_held_meanwhile_is_not_shown(
    client: httpx.AsyncClient, calls: Callable[[], int]
) -> None:
    first, *others = await free(client)
    await client.post(BOOKINGS, json=appointment_request(first))
    assert (await free(client), calls()) == (others, 1)


async def test_slots_that_do_not_follow_each_other_are_refused(client: httpx.AsyncClient) -> None:
    slots = await free(client)
    answer = await client.post(BOOKINGS, json=appointment_request(slots[0], slots[2]))
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (422, "not_adjacent")


async def test_what_has_passed_is_refused(client: httpx.AsyncClient, clock: FixedClock) -> None:
    first, *_ = await free(client)
    clock.time = NOW.replace(day=6, hour=9)
    assert (await client.post(BOOKINGS, json=appointment_request(first))).status_code == 409
    clock.time = NOW.replace(day=7)
    late = await client.post(BOOKINGS, json=appointment_request(first))
    assert (late.status_code, late.json()["errors"][0]["loc"]) == (422, ["body", "date"])


async def test_one_citizen_is_at_one_place_at_a_time(
    client: httpx.AsyncClient, practice: Practice
) -> None:
    first, *_ = await free(client)
    await booked(client, practice, first)
    other = appointment_request(first.replace("2000011147", "2000011148")) | {
        "specialty": "Dermatology"
    }
    assert (await client.post(BOOKINGS, json=other)).status_code == 409
    assert (await client.post(BOOKINGS, json=other, headers=STRANGER)).status_code == 202


async def test_the_same_key_gets_the_same_answer_and_other_words_get_none(
    client: httpx.AsyncClient, practice: Practice, database: Database
) -> None:
    first, second, *_ = await free(client)
    answers = await asyncio.gather(
        *(client.post(BOOKINGS, json=appointment_request(first), headers=KEY) for _ in range(5))
    )
    await practice.answer()
    answers.append(await client.post(BOOKINGS, json=appointment_request(first), headers=KEY))
    assert {(one.status_code, one.content) for one in answers} == {(202, answers[0].content)}
    assert {one.headers["etag"] for one in answers} == {'"1"'}
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.appointment") == 1
    reused = await client.post(BOOKINGS, json=appointment_request(second), headers=KEY)
    assert reused.status_code == 422
    others = await client.post(BOOKINGS, json=appointment_request(second), headers=KEY | STRANGER)
    assert others.status_code == 202


async def test_a_crash_after_the_practice_was_asked_neither_loses_nor_doubles(
    client: httpx.AsyncClient, practice: Practice, simulator: list[NhsSimulator]
) -> None:
    first, *_ = await free(client)
    await client.post(BOOKINGS, json=appointment_request(first))
    await practice.prepare()
    assert (await practice.answer())["status"] == "CONFIRMED"
    [entry] = simulator[0].diary.list_for_patient("9434765919")
    assert (entry.status, entry.version) == ("booked", 1)


async def test_while_the_practice_is_away_the_slot_is_kept(
    client: httpx.AsyncClient, practice: Practice, simulator: list[NhsSimulator]
) -> None:
    first, *_ = await free(client)
    await client.post(BOOKINGS, json=appointment_request(first))
    simulator[0].faults.set_fault("503")
    with pytest.raises(Outage):
        await practice.prepare()
    away = await client.get(SLOTS, params={"specialty": "Cardiology", "date": "2026-01-07"})
    assert away.status_code == 503
    simulator[0].faults.set_fault("")
    assert (await practice.answer())["status"] == "CONFIRMED"


async def test_what_the_practice_gave_to_another_is_rejected_and_let_go(
    client: httpx.AsyncClient,
    practice: Practice,
    simulator: list[NhsSimulator],
    database: Database,
) -> None:
    first, *_ = await free(client)
    await client.post(BOOKINGS, json=appointment_request(first))
    _take_elsewhere(simulator[0], first)
    reported = await practice.answer()
    assert (reported["status"], reported["rejection_reason"]) == (
        "REJECTED",
        "The slot is not free any more",
    )
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.held_slot") == 0


async def test_a_move_takes_the_new_slot_and_then_frees_the_old(
    client: httpx.AsyncClient, practice: Practice
) -> None:
    slots = await free(client)
    where = await booked(client, practice, slots[0])
    move = {"date": TUESDAY, "slots": [slots[5]]}
    moved = await client.put(where, json=move, headers={"If-Match": '"2"'})
    assert (moved.status_code, moved.json()["status"]) == (202, "REQUESTED")
    assert moved.json()["confirmed_datetime"] == "2026-01-06T09:00:00Z"
    assert {slots[0], slots[5]}.isdisjoint(await free(client))
    elsewhere = {"date": TUESDAY, "slots": [slots[9]]}
    again = await client.put(where, json=elsewhere, headers={"If-Match": moved.headers["etag"]})
    assert (again.status_code, again.json()["detail"]) == (409, UNDECIDED)
    reported = await practice.answer()
    assert (reported["status"], reported["confirmed_datetime"]) == (
        "CONFIRMED",
        "2026-01-06T10:15:00Z",
    )
    assert slots[0] in await free(client)
    assert slots[5] not in await free(client)


async def test_a_move_that_the_practice_refuses_leaves_the_appointment_where_it_was(
    client: httpx.AsyncClient, practice: Practice, simulator: list[NhsSimulator]
) -> None:
    slots = await free(client)
    where = await booked(client, practice, slots[0])
    move = {"date": TUESDAY, "slots": [slots[5]]}
    await client.put(where, json=move, headers={"If-Match": '"2"'})
    _take_elsewhere(simulator[0], slots[5])
    reported = await practice.answer()
    assert (reported["status"], reported["confirmed_datetime"], reported["rejection_reason"]) == (
        "CONFIRMED",
        "2026-01-06T09:00:00Z",
        "The slot is not free any more",
    )
    found = (await client.get(where)).json()
    assert (found["status"], found["confirmed_datetime"]) == ("CONFIRMED", "2026-01-06T09:00:00Z")
    assert slots[0] not in await free(client)


async def test_a_cancellation_reaches_the_practice_and_frees_the_slot(
    client: httpx.AsyncClient, practice: Practice, simulator: list[NhsSimulator]
) -> None:
    first, *_ = await free(client)
    where = await booked(client, practice, first)
    cancelled = await client.delete(where, headers={"If-Match": '"2"'})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert cancelled.headers["etag"] == '"3"'
    assert first not in await free(client)
    reported = await practice.answer()
    assert (reported["status"], reported["rejection_reason"]) == (
        "CANCELLED",
        "cancelled_by_citizen",
    )
    assert first in await free(client)
    assert [one.status for one in simulator[0].diary.list_for_patient("9434765919")] == [
        "cancelled"
    ]
    over = await client.delete(where, headers={"If-Match": '"3"'})
    assert over.status_code == 409
    assert (
        await client.post(BOOKINGS, json=appointment_request(first), headers=STRANGER)
    ).status_code == 202


async def test_a_booking_that_was_cancelled_under_way_is_cancelled_at_the_practice_too(
    client: httpx.AsyncClient,
    practice: Practice,
    simulator: list[NhsSimulator],
    module: Module,
    uow: UnitOfWork,
) -> None:
    first, *_ = await free(client)
    answer = await client.post(BOOKINGS, json=appointment_request(first))
    request = await practice.latest()
    handler = find_handler(module, "nhs.booking")
    outcome = await handler.prepare(request)
    await client.delete(answer.headers["location"], headers={"If-Match": '"1"'})
    async with uow.begin(request.operation_context("tests")) as tx:
        await handler.apply(tx, request, outcome)
    await practice.answer()
    found = await client.get(answer.headers["location"])
    assert found.json()["status"] == "CANCELLED"
    assert [one.status for one in simulator[0].diary.list_for_patient("9434765919")] == [
        "cancelled"
    ]
    assert first in await free(client)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 428), ({"If-Match": '"1"'}, 412), ({"If-Match": 'W/"1"'}, 412), ({"If-Match": "2"}, 412)],
)
async def test_who_has_not_read_what_is_there_changes_nothing(
    client: httpx.AsyncClient, practice: Practice, headers: dict[str, str], status: int
) -> None:
    slots = await free(client)
    where = await booked(client, practice, slots[0])
    move = {"date": TUESDAY, "slots": [slots[5]]}
    assert (await client.delete(where, headers=headers)).status_code == status
    assert (await client.put(where, json=move, headers=headers)).status_code == status
    assert (await client.get(where)).headers["etag"] == '"2"'


async def test_anothers_appointment_is_neither_moved_nor_cancelled(
    client: httpx.AsyncClient, practice: Practice
) -> None:
    slots = await free(client)
    where = await booked(client, practice, slots[0])
    theirs = STRANGER | {"If-Match": "*"}
    move = {"date": TUESDAY, "slots": [slots[5]]}
    assert (await client.delete(where, headers=theirs)).status_code == 404
    assert (await client.put(where, json=move, headers=theirs)).status_code == 404


async def test_a_block_frees_the_slot_at_the_practice_and_nothing_is_booked_afterwards(
    client: httpx.AsyncClient,
    practice: Practice,
    module: Module,
    uow: UnitOfWork,
    account_id: UUID,
    simulator: list[NhsSimulator],
) -> None:
    first, second, *_ = await free(client)
    where = await booked(client, practice, first)
    blocked = build_delivery(AccountBlocked(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, "nhs.appointments"), blocked, uow)
    reported = await practice.answer()
    assert (reported["status"], reported["rejection_reason"]) == ("CANCELLED", "account_blocked")
    assert [one.status for one in simulator[0].diary.list_for_patient("9434765919")] == [
        "cancelled"
    ]
    assert first in await free(client)
    move = {"date": TUESDAY, "slots": [second]}
    assert (await client.post(BOOKINGS, json=appointment_request(second))).status_code == 403
    assert (await client.put(where, json=move, headers={"If-Match": "*"})).status_code == 403


async def test_of_a_closed_account_no_answer_is_kept_and_its_slot_is_free(
    client: httpx.AsyncClient,
    practice: Practice,
    module: Module,
    uow: UnitOfWork,
    account_id: UUID,
    database: Database,
) -> None:
    first, *_ = await free(client)
    await client.post(BOOKINGS, json=appointment_request(first), headers=KEY)
    await practice.answer()
    closed = build_delivery(AccountClosed(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, "nhs.appointments"), closed, uow)
    await practice.answer()
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.booking_answer") == 0
    assert first in await free(client)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"slots": []}, "slots"),
        ({"slots": ["a", "a"]}, "slots"),
        ({"slots": ["a b"]}, "slots"),
        ({"specialty": "Alchemy"}, "specialty"),
        ({"patient_identifier": "9434765918"}, "patient_identifier"),
        ({"reason": "x" * 101}, "reason"),
        ({"date": "soon"}, "date"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    answer = await client.post(
        BOOKINGS, json=appointment_request("2000011147-20260106T0900") | wrong
    )
    assert (answer.status_code, answer.json()["errors"][0]["loc"][:2]) == (422, ["body", field])


def _take_elsewhere(simulator: NhsSimulator, slot_id: str) -> None:
    """Book at the practice directly, without govid."""
    slot = simulator.diary.find_slot(slot_id)
    assert slot is not None
    simulator.diary.book(
        DiaryBooking(
            id=str(uuid4()), slots=(slot_id,), patient="9693632109", start=slot.start, end=slot.end
        )
    )
