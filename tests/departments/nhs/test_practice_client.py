"""The BaRS implementation of `PracticeClient`: the same results by every transport."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from govid.bus.upstream import (
    Department,
    RequestPolicy,
    UnusableResponse,
    UpstreamFailure,
    UpstreamMetrics,
    UpstreamUnavailable,
)
from govid.nhs.clients.bars_messages import BookingSender
from govid.nhs.clients.factory import SIMULATED_PRACTICES, NhsConnection
from govid.nhs.clients.interfaces import (
    AppointmentChanged,
    BookingOrder,
    PracticeAppointment,
    PracticeClient,
    PracticeRuleBroken,
    SlotGone,
    UnknownAppointment,
)
from govid.nhs.clients.oauth import SigningCredentials
from govid.nhs.simulator import NhsSimulator, bars, bars_messages, bars_resources
from govid.nhs.slots import AppointmentStatus, FreeSlot
from tests.departments.clock import MovingClock
from tests.departments.nhs.target import Target, Way, reached

SERVICE = "2000099999"
PATIENT = "9476719931"
SENDER = BookingSender(ods_code="Y12345", endpoint="2000000001")
WRONG_ANSWERS = "govid_department_wrong_answers_total"
QUICK = RequestPolicy(total_seconds=2, first_backoff_seconds=0.001)

Connect = Callable[[Target], PracticeClient]


@pytest.fixture
def counted() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def connect(clock: MovingClock, counted: CollectorRegistry) -> AsyncIterator[Connect]:
    departments: list[Department] = []

    def to(target: Target) -> PracticeClient:
        department = Department("nhs", transport=target.transport, metrics=UpstreamMetrics(counted))
        departments.append(department)
        who = SigningCredentials(client_id=target.client_id, kid=target.kid, key=lambda: target.key)
        connection = NhsConnection(department, target.url, who, clock, policy=QUICK)
        return connection.build_practice_client(SENDER, SIMULATED_PRACTICES)

    yield to
    for department in departments:
        await department.close()


@pytest.fixture(params=["in process", "loopback"])
async def practices(
    request: pytest.FixtureRequest, simulator: NhsSimulator, connect: Connect
) -> AsyncIterator[PracticeClient]:
    async with reached(cast("Way", request.param), simulator) as target:
        yield connect(target)


@pytest.fixture
def own(simulated: Target, connect: Connect) -> PracticeClient:
    return connect(simulated)


async def free(practices: PracticeClient, service: str = SERVICE) -> Sequence[FreeSlot]:
    now = datetime.now(UTC)
    return await practices.fetch_free_slots(service, now, now + timedelta(days=13))


def order(*slots: FreeSlot, patient: str = PATIENT, **changes: Any) -> BookingOrder:
    wanted = BookingOrder(
        id=str(uuid4()),
        patient=patient,
        slots=slots,
        created=datetime(2026, 1, 5, tzinfo=UTC),
        description="Reason for calling",
    )
    return structs.replace(wanted, **changes)


async def test_free_slots_are_reported_in_order(practices: PracticeClient) -> None:
    slots = await free(practices)
    assert slots[0].end - slots[0].start == timedelta(minutes=15)
    assert slots[0].service == SERVICE
    assert slots[0].start.tzinfo is not None
    assert [one.start for one in slots] == sorted(one.start for one in slots)


async def test_a_booking_can_be_read_and_is_not_free_any_more(
    practices: PracticeClient,
) -> None:
    first, *_ = await free(practices)
    wanted = order(first)
    booked = await practices.book(wanted)
    assert (booked.id, booked.status) == (wanted.id, AppointmentStatus.CONFIRMED)
    assert (booked.start, booked.end) == (first.start, first.end)
    assert await practices.fetch_appointment(SERVICE, wanted.id) == booked
    assert first not in await free(practices)


async def test_the_same_order_again_is_the_same_appointment(practices: PracticeClient) -> None:
    first, *_ = await free(practices)
    wanted = order(first)
    assert await practices.book(wanted) == await practices.book(wanted)


async def test_a_slot_that_is_gone_is_gone(practices: PracticeClient) -> None:
    first, *_ = await free(practices)
    await practices.book(order(first))
    with pytest.raises(SlotGone):
        await practices.book(order(first, patient="9693632109"))


async def test_of_fifty_at_once_one_gets_the_slot(own: PracticeClient) -> None:
    first, *_ = await free(own)
    ended = await asyncio.gather(
        *(own.book(order(first, patient=str(number))) for number in range(50)),
        return_exceptions=True,
    )
    kinds = [type(one) for one in ended]
    assert (kinds.count(PracticeAppointment), kinds.count(SlotGone)) == (1, 49)


async def test_what_breaks_a_rule_is_not_granted(practices: PracticeClient) -> None:
    slots = await free(practices)
    with pytest.raises(PracticeRuleBroken):
        await practices.book(order(slots[0], slots[2]))
    with pytest.raises(PracticeRuleBroken):
        await practices.book(order(slots[0], description="x" * 101))
    now = datetime.now(UTC)
    with pytest.raises(PracticeRuleBroken):
        await practices.fetch_free_slots(SERVICE, now, now + timedelta(days=15))


async def test_a_practice_that_is_none_is_our_mistake(own: PracticeClient) -> None:
    with pytest.raises(UnusableResponse):
        await free(own, "1999")


async def test_a_cancellation_frees_the_slot(practices: PracticeClient) -> None:
    first, *_ = await free(practices)
    booked = await practices.book(order(first))
    cancelled = await practices.cancel(booked)
    assert (cancelled.status, cancelled.version) == (AppointmentStatus.CANCELLED, "2")
    assert first in await free(practices)


async def test_a_cancellation_that_came_twice_is_one(practices: PracticeClient) -> None:
    first, *_ = await free(practices)
    booked = await practices.book(order(first))
    assert await practices.cancel(booked) == await practices.cancel(booked)


async def test_a_move_takes_the_new_slot_and_frees_the_old(practices: PracticeClient) -> None:
    slots = await free(practices)
    booked = await practices.book(order(slots[0]))
    moved = await practices.move(booked, order(slots[7]))
    assert (moved.id, moved.start, moved.version) == (booked.id, slots[7].start, "2")
    assert slots[0] in await free(practices)


async def test_a_move_into_a_slot_that_is_gone_changes_nothing(practices: PracticeClient) -> None:
    slots = await free(practices)
    booked = await practices.book(order(slots[0]))
    await practices.book(order(slots[1], patient="9693632109"))
    with pytest.raises(SlotGone):
        await practices.move(booked, order(slots[1]))
    assert await practices.fetch_appointment(SERVICE, booked.id) == booked


async def test_who_has_read_an_older_version_changes_nothing(practices: PracticeClient) -> None:
    slots = await free(practices)
    booked = await practices.book(order(slots[0]))
    await practices.move(booked, order(slots[7]))
    with pytest.raises(AppointmentChanged):
        await practices.cancel(booked)
    with pytest.raises(AppointmentChanged):
        await practices.move(booked, order(slots[9]))


async def test_what_has_passed_is_not_cancelled(own: PracticeClient, clock: MovingClock) -> None:
    first, *_ = await free(own)
    booked = await own.book(order(first))
    clock.ahead = timedelta(days=7)
    with pytest.raises(PracticeRuleBroken):
        await own.cancel(booked)


async def test_an_appointment_that_is_none_is_none(practices: PracticeClient) -> None:
    with pytest.raises(UnknownAppointment):
        await practices.fetch_appointment(SERVICE, str(uuid4()))


@pytest.mark.parametrize("fault", ["503", "timeout", "personal-data", "malformed", "wrong-type"])
async def test_a_practice_in_trouble_gives_no_answer(
    own: PracticeClient, simulator: NhsSimulator, fault: str
) -> None:
    first, *_ = await free(own)
    simulator.faults.set_fault(fault)
    with pytest.raises(UpstreamFailure):
        await own.book(order(first))


async def test_a_booking_whose_answer_was_lost_is_found_again(
    own: PracticeClient, simulator: NhsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = await free(own)
    wanted = order(first)
    answer = simulator.diary.book

    def lost(appointment_request: Any) -> Any:
        answer(appointment_request)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(simulator.diary, "book", lost)
        with pytest.raises(UpstreamUnavailable):
            await own.book(wanted)
    found = await own.book(wanted)
    assert (found.id, found.status) == (wanted.id, AppointmentStatus.CONFIRMED)


def other(**changes: Any) -> Callable[[Any], dict[str, Any]]:
    """Return what tells an appointment with *changes*; what becomes None is left out."""

    def reported(entry: Any) -> dict[str, Any]:
        resource = {**bars_resources.build_appointment(entry), **changes}
        return {name: value for name, value in resource.items() if value is not None}

    return reported


def actor(**members: Any) -> list[dict[str, Any]]:
    return [{"actor": members, "status": "accepted"}]


ANOTHER_NUMBER = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9693632109"}
OTHERS = {
    "another id": {"id": "c3f6145e-1a26-4345-b3f2-dccbcba62049"},
    "another start": {"start": "2030-01-07T09:00:00+00:00"},
    "another end": {"end": "2030-01-07T09:15:00+00:00"},
    "no start": {"start": None},
    "a start without an offset": {"start": "2030-01-07T09:00:00"},
    "another patient": {"participant": actor(identifier=ANOTHER_NUMBER)},
    "another reference": {"participant": actor(reference="Patient/9693632109")},
    "no patient": {"participant": []},
    "no participants": {"participant": None},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
async def test_e7_a_booking_that_is_answered_with_another_is_not_believed(
    own: PracticeClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    counted: CollectorRegistry,
    changes: dict[str, Any],
) -> None:
    first, *_ = await free(own)
    monkeypatch.setattr(bars_messages, "build_appointment", other(**changes))
    with pytest.raises(UnusableResponse):
        await own.book(order(first))
    assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
        "department.answered_about_another"
    ]
    assert counted.get_sample_value(WRONG_ANSWERS, {"department": "nhs"}) == 1


@pytest.mark.parametrize(
    "participant",
    [
        actor(reference=f"Patient/{PATIENT}"),
        actor(reference=f"https://nhs.example/FHIR/R4/Patient/{PATIENT}"),
        actor(identifier={"system": "https://fhir.nhs.uk/Id/nhs-number", "value": PATIENT}),
    ],
)
async def test_e7_a_patient_may_be_named_in_any_way(
    own: PracticeClient, monkeypatch: pytest.MonkeyPatch, participant: list[dict[str, Any]]
) -> None:
    first, *_ = await free(own)
    monkeypatch.setattr(bars_messages, "build_appointment", other(participant=participant))
    assert (await own.book(order(first))).status is AppointmentStatus.CONFIRMED


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
async def test_e7_the_same_holds_for_a_move(
    own: PracticeClient, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    slots = await free(own)
    booked = await own.book(order(slots[0]))
    monkeypatch.setattr(bars_messages, "build_appointment", other(**changes))
    with pytest.raises(UnusableResponse):
        await own.move(booked, order(slots[7]))


async def test_e7_the_same_holds_for_a_booking_that_is_found_again(
    own: PracticeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = await free(own)
    wanted = order(first)
    await own.book(wanted)
    monkeypatch.setattr(bars, "build_appointment", other(**OTHERS["another patient"]))
    with pytest.raises(UnusableResponse):
        await own.book(wanted)


async def test_e7_another_appointment_is_neither_read_nor_cancelled(
    own: PracticeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = await free(own)
    booked = await own.book(order(first))
    monkeypatch.setattr(bars, "build_appointment", other(**OTHERS["another id"]))
    with pytest.raises(UnusableResponse):
        await own.fetch_appointment(SERVICE, booked.id)
    monkeypatch.setattr(bars_messages, "build_appointment", other(**OTHERS["another id"]))
    with pytest.raises(UnusableResponse):
        await own.cancel(booked)


async def test_e7_a_slot_outside_of_what_was_asked_for_is_not_offered(
    own: PracticeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = await free(own)
    outside = {"start": "2030-01-07T09:00:00+00:00", "end": "2030-01-07T09:15:00+00:00"}
    reported = bars_resources.build_slot
    monkeypatch.setattr(bars, "build_slot", lambda one: {**reported(one), **outside})
    assert (len(slots) > 0, await free(own)) == (True, [])


async def test_i9_no_patient_is_logged(
    own: PracticeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first, *_ = await free(own)
    booked = await own.book(order(first))
    await own.fetch_appointment(SERVICE, booked.id)
    reported = (
        "".join(str(one.__dict__) for one in caplog.records) + repr(booked) + repr(order(first))
    )
    assert [word for word in (PATIENT, "Reason for calling") if word in reported] == []
