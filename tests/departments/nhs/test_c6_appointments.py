"""C6: rules of slots and appointments, by messages and by the REST verbs to come."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.departments.nhs.bars_requests import (
    PATIENT,
    SLOTS,
    BarsRequests,
    JanuaryClock,
    appointment_request,
    booked,
    reported,
)
from tests.departments.nhs.token_requests import MISSING


async def test_free_slots_come_with_their_schedule(booker: BarsRequests) -> None:
    answer = await booker.slots()
    entries = [one["resource"] for one in answer.json()["entry"]]
    slots = [one for one in entries if one["resourceType"] == "Slot"]
    assert answer.headers["content-type"] == "application/fhir+json"
    assert {one["resourceType"] for one in entries} == {"Slot", "Schedule", "HealthcareService"}
    assert {one["status"] for one in slots} == {"free"}
    assert slots[0]["id"] == "slot001"
    assert (slots[0]["start"], slots[0]["end"]) == (
        "2026-01-06T09:00:00+00:00",
        "2026-01-06T09:15:00+00:00",
    )


async def test_only_slots_wholly_inside_the_window_are_reported(booker: BarsRequests) -> None:
    window = [
        ("start", "ge2026-01-06T09:01:00+00:00"),
        ("start", "le2026-01-06T09:44:00+00:00"),
    ]
    query = [one for one in SLOTS if one[0] != "start"] + window
    entries = (await booker.slots(query)).json()["entry"]
    slots = [one["resource"]["start"] for one in entries if "start" in one["resource"]]
    assert slots == ["2026-01-06T09:15:00+00:00"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "busy"),
        ("_include", "Slot:other"),
        ("Schedule.actor:HealthcareService", "2000000000"),
        ("start", "ge2026-01-05"),
        ("start", "ge2025-12-01T00:00:00+00:00"),
        ("start", "nonsense"),
    ],
)
async def test_a_search_for_slots_keeps_to_its_rules(
    booker: BarsRequests, name: str, value: str
) -> None:
    query = [(one, value if one == name else old) for one, old in SLOTS]
    assert reported(await booker.slots(query)) == (400, "REC_BAD_REQUEST", "invalid")


async def test_a_booking_by_message_can_be_read_and_listed(booker: BarsRequests) -> None:
    slots = await booker.free()
    answer = await booker.message(appointment_request(slots[0]))
    appointment = booked(answer)
    assert answer.status_code == 200
    assert (appointment["status"], appointment["meta"]["versionId"]) == ("booked", "1")
    read = await booker.send("GET", f"/Appointment/{appointment['id']}")
    query = {"patient:identifier": f"https://fhir.nhs.uk/Id/nhs-number|{PATIENT}"}
    listed = (await booker.send("GET", "/Appointment", query=query)).json()
    assert read.json() == appointment
    assert read.headers["etag"] == 'W/"1"'
    assert [one["resource"]["id"] for one in listed["entry"]] == [appointment["id"]]
    assert slots[0]["id"] not in [one["id"] for one in await booker.free()]


async def test_a_booking_by_verb_is_created(booker: BarsRequests) -> None:
    slots = await booker.free()
    answer = await booker.send("POST", "/Appointment", appointment_request(slots[0], slots[1]))
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/Appointment/{answer.json()['id']}")


async def test_a_slot_is_booked_once_by_message(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    await booker.message(appointment_request(slot))
    second = await booker.message(appointment_request(slot, patient="9693632109"))
    assert reported(second) == (409, "REC_CONFLICT", "conflict")


async def test_a_slot_is_booked_once_by_verb(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    await booker.message(appointment_request(slot))
    second = await booker.send(
        "POST", "/Appointment", appointment_request(slot, patient="9693632109")
    )
    assert reported(second) == (409, "DUPLICATE_REJECTED", "duplicate")


async def test_of_fifty_at_once_one_gets_the_slot(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    answers = await asyncio.gather(
        *(booker.message(appointment_request(slot, patient=str(number))) for number in range(50))
    )
    statuses = [one.status_code for one in answers]
    assert (statuses.count(200), statuses.count(409)) == (1, 49)


async def test_a_message_that_comes_twice_is_a_duplicate(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    once = "urn:uuid:c5950000-0000-4000-8000-000000000000"
    first = await booker.message(appointment_request(slot), message_id=once)
    second = await booker.message(appointment_request(slot), message_id=once)
    assert first.status_code == 200
    assert reported(second) == (409, "REC_CONFLICT", "duplicate")


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "x" * 101},
        {"comment": "x" * 501},
        {"reason": "x"},
        {"participant": MISSING},
        {"slot": MISSING},
        {"slot": [{"reference": "Slot/none"}]},
        {"start": MISSING},
        {"end": "2026-01-06T10:00:00+00:00"},
        {"end": "2026-01-06T09:15:00"},
        {"status": "proposed"},
    ],
)
async def test_what_breaks_a_rule_is_not_booked(
    booker: BarsRequests, changes: dict[str, Any]
) -> None:
    slot, *_ = await booker.free()
    answer = await booker.message(appointment_request(slot, **changes))
    assert reported(answer) == (400, "REC_BAD_REQUEST", "invalid")


async def test_several_slots_stand_in_a_row(booker: BarsRequests) -> None:
    slots = await booker.free()
    answer = await booker.message(appointment_request(slots[0], slots[2]))
    assert reported(answer) == (400, "REC_BAD_REQUEST", "invalid")
    assert (await booker.message(appointment_request(slots[0], slots[1]))).status_code == 200


async def test_no_one_is_in_two_places_at_once(booker: BarsRequests) -> None:
    slots = await booker.free()
    await booker.message(appointment_request(slots[0], slots[1]))
    query = [(one, "2000011147" if "actor" in one else old) for one, old in SLOTS]
    other = (await booker.slots(query)).json()["entry"][1]["resource"]
    assert reported(await booker.message(appointment_request(other))) == (
        400,
        "REC_BAD_REQUEST",
        "invalid",
    )


async def test_the_past_is_not_booked(booker: BarsRequests, january: JanuaryClock) -> None:
    slot, *_ = await booker.free()
    january.time += timedelta(days=1)
    answer = await booker.message(appointment_request(slot))
    assert reported(answer) == (400, "REC_BAD_REQUEST", "invalid")


async def test_a_cancellation_frees_the_slot(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    appointment = booked(await booker.message(appointment_request(slot)))
    cancelled = booked(await booker.message({**appointment, "status": "cancelled"}))
    assert (cancelled["status"], cancelled["meta"]["versionId"]) == ("cancelled", "2")
    assert (await booker.message(appointment_request(slot))).status_code == 200


async def test_a_cancellation_changes_nothing_else(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    appointment = booked(await booker.message(appointment_request(slot)))
    answer = await booker.message({**appointment, "status": "cancelled", "description": "other"})
    assert reported(answer) == (400, "REC_BAD_REQUEST", "invalid")


@pytest.mark.parametrize("changes", [{"description": "other"}, {"comment": "other"}])
async def test_a_cancellation_by_verb_changes_nothing_else(
    booker: BarsRequests, changes: dict[str, str]
) -> None:
    slot, *_ = await booker.free()
    appointment = booked(await booker.message(appointment_request(slot)))
    where = f"/Appointment/{appointment['id']}"
    wanted = {**appointment, "status": "cancelled", **changes}
    answer = await booker.send("PUT", where, wanted, headers={"If-Match": 'W/"1"'})
    assert reported(answer) == (400, "REC_BAD_REQUEST", "invalid")


async def test_what_has_passed_is_not_cancelled(
    booker: BarsRequests, january: JanuaryClock
) -> None:
    slot, *_ = await booker.free()
    appointment = booked(await booker.message(appointment_request(slot)))
    january.time += timedelta(days=1)
    answer = await booker.message({**appointment, "status": "cancelled"})
    assert reported(answer) == (400, "REC_BAD_REQUEST", "invalid")


async def test_a_move_takes_the_new_slot_and_frees_the_old(booker: BarsRequests) -> None:
    slots = await booker.free()
    appointment = booked(await booker.message(appointment_request(slots[0])))
    moved = {**appointment_request(slots[5]), "id": appointment["id"], "meta": appointment["meta"]}
    assert booked(await booker.message(moved))["start"] == slots[5]["start"]
    free = [one["id"] for one in await booker.free()]
    assert (slots[0]["id"] in free, slots[5]["id"] in free) == (True, False)


async def test_who_has_read_an_older_version_changes_nothing(booker: BarsRequests) -> None:
    slots = await booker.free()
    appointment = booked(await booker.message(appointment_request(slots[0])))
    moved = {**appointment_request(slots[5]), "id": appointment["id"], "meta": appointment["meta"]}
    await booker.message(moved)
    by_message = await booker.message({**appointment, "status": "cancelled"})
    by_verb = await booker.send(
        "DELETE", f"/Appointment/{appointment['id']}", headers={"If-Match": 'W/"1"'}
    )
    assert reported(by_message) == (409, "REC_CONFLICT", "conflict")
    assert reported(by_verb) == (409, "REC_CONFLICT", "conflict")


async def test_a_verb_cancels_the_version_that_it_names(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    appointment = booked(await booker.message(appointment_request(slot)))
    where = f"/Appointment/{appointment['id']}"
    unnamed = await booker.send("PUT", where, {**appointment, "status": "cancelled"})
    named = await booker.send(
        "PUT", where, {**appointment, "status": "cancelled"}, headers={"If-Match": 'W/"1"'}
    )
    assert reported(unnamed) == (400, "REC_BAD_REQUEST", "invalid")
    assert (named.status_code, named.json()["status"]) == (200, "cancelled")


async def test_a_part_of_an_appointment_can_be_amended(booker: BarsRequests) -> None:
    slot, *_ = await booker.free()
    appointment = booked(await booker.message(appointment_request(slot)))
    where = f"/Appointment/{appointment['id']}"
    part = {"resourceType": "Appointment", "id": appointment["id"], "status": "cancelled"}
    answer = await booker.send("PATCH", where, part, headers={"If-Match": 'W/"1"'})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.headers["etag"] == 'W/"2"'


async def test_an_appointment_that_is_none_is_not_found(booker: BarsRequests) -> None:
    answer = await booker.send("GET", "/Appointment/c3f6145e-1a26-4345-b3f2-dccbcba62049")
    assert reported(answer) == (404, "REC_NOT_FOUND", "not-found")


async def test_with_the_days_new_slots_come(booker: BarsRequests, january: JanuaryClock) -> None:
    january.time += timedelta(days=28)
    query = [
        *[one for one in SLOTS if one[0] != "start"],
        ("start", "ge2026-02-02T00:00:00+00:00"),
        ("start", "le2026-02-14T00:00:00+00:00"),
    ]
    first = (await booker.slots(query)).json()["entry"][0]["resource"]
    assert (first["id"], first["start"]) == (
        "2000099999-20260203T0900",
        "2026-02-03T09:00:00+00:00",
    )
