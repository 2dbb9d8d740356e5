"""BaRS messages to a practice: complete, and the same each time."""

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from govid.nhs.clients.bars_messages import (
    BookingMessage,
    BookingSender,
    build_appointment,
    build_headers,
    encode_target,
)
from govid.nhs.clients.interfaces import BookingOrder
from govid.nhs.slots import FreeSlot

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SENDER = BookingSender(ods_code="Y12345", endpoint="2000000001")
SLOTS = tuple(
    FreeSlot(id=f"slot{number}", service="2000099999", start=start, end=start + timedelta(hours=1))
    for number, start in enumerate([NOON, NOON + timedelta(hours=1)])
)
ORDER = BookingOrder(
    id="0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e",
    patient="9434765919",
    slots=SLOTS,
    created=NOON,
    description="Palpitations",
)
BOOKING = BookingMessage(
    resource=build_appointment(ORDER),
    reason="new",
    service="2000099999",
    sender=SENDER,
    receiver="A20047",
    order=ORDER,
)


def parts(message: BookingMessage) -> dict[str, Any]:
    """Return what is in the Bundle, by its URL."""
    bundle = json.loads(message.encode(NOON))
    return {one["fullUrl"]: one["resource"] for one in bundle["entry"]}


def header(message: BookingMessage) -> Any:
    return next(iter(parts(message).values()))


def test_a_booking_holds_all_that_the_appointment_is_about() -> None:
    kinds = [one["resourceType"] for one in parts(BOOKING).values()]
    assert kinds == [
        "MessageHeader",
        "Appointment",
        "Slot",
        "Slot",
        "Schedule",
        "Patient",
        "Organization",
        "Organization",
    ]


def test_the_header_says_from_whom_to_whom_and_about_what() -> None:
    found = header(BOOKING)
    (destination,) = found["destination"]
    receiver = parts(BOOKING)[destination["receiver"]["reference"]]
    sender = parts(BOOKING)[found["sender"]["reference"]]
    focus = parts(BOOKING)[found["focus"][0]["reference"]]
    assert destination["endpoint"] == "https://fhir.nhs.uk/Id/dos-service-id|2000099999"
    assert found["source"] == {
        "name": "govid",
        "endpoint": "https://fhir.nhs.uk/Id/dos-service-id|2000000001",
    }
    assert (receiver["identifier"][0]["value"], sender["identifier"][0]["value"]) == (
        "A20047",
        "Y12345",
    )
    assert focus["id"] == ORDER.id


def test_slots_are_busy_and_point_to_the_schedule() -> None:
    found = parts(BOOKING)
    slots = [one for one in found.values() if one["resourceType"] == "Slot"]
    assert [(one["id"], one["status"], one["start"]) for one in slots] == [
        ("slot0", "busy", "2026-01-05T12:00:00+00:00"),
        ("slot1", "busy", "2026-01-05T13:00:00+00:00"),
    ]
    assert {found[one["schedule"]["reference"]]["resourceType"] for one in slots} == {"Schedule"}


def test_sent_again_later_it_is_the_same_message() -> None:
    first, second = (json.loads(BOOKING.encode(when)) for when in (NOON, NOON + timedelta(days=1)))
    assert (first.pop("timestamp"), second.pop("timestamp")) == (
        "2026-01-05T12:00:00+00:00",
        "2026-01-06T12:00:00+00:00",
    )
    assert first == second


@pytest.mark.parametrize(
    "other",
    [
        structs.replace(BOOKING, reason="update"),
        structs.replace(BOOKING, resource={**BOOKING.resource, "status": "cancelled"}),
    ],
    ids=["reason", "resource"],
)
def test_what_asks_for_something_else_is_another_message(other: BookingMessage) -> None:
    assert next(iter(parts(other))) != next(iter(parts(BOOKING)))


def test_a_cancellation_holds_no_more_than_it_needs() -> None:
    cancelled = {**BOOKING.resource, "status": "cancelled"}
    message = structs.replace(BOOKING, resource=cancelled, reason="delete", order=None)
    kinds = [one["resourceType"] for one in parts(message).values()]
    assert kinds == ["MessageHeader", "Appointment", "Organization", "Organization"]


def references(value: Any) -> list[str]:
    """Return every reference in *value*, at any depth."""
    if isinstance(value, list):
        return [found for one in value for found in references(one)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if "reference" in value else []
    return own + [found for one in value.values() for found in references(one)]


def message(reason: str, receiver: str | None, slots: int) -> BookingMessage:
    order = structs.replace(ORDER, slots=SLOTS[:slots])
    return structs.replace(
        BOOKING, resource=build_appointment(order), reason=reason, receiver=receiver, order=order
    )


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("receiver", ["A20047", None])
@pytest.mark.parametrize("reason", ["new", "update"])
def test_f14_every_reference_is_the_url_of_an_entry(
    reason: str, receiver: str | None, slots: int
) -> None:
    found = parts(message(reason, receiver, slots))
    named = references([*found.values()])
    assert len(named) == 4 + 2 * slots - (receiver is None)
    assert set(named) - found.keys() == set()
    # The other way round, nothing is in the Bundle that its header does not refer to.
    assert found.keys() - set(named) == {next(iter(found))}


@pytest.mark.parametrize("slots", [1, 2])
def test_f14_the_appointment_leads_to_its_slots_and_its_patient(slots: int) -> None:
    found = parts(message("new", "A20047", slots))
    resource = next(one for one in found.values() if one["resourceType"] == "Appointment")
    assert [found[one["reference"]]["id"] for one in resource["slot"]] == [
        one.id for one in SLOTS[:slots]
    ]
    (participant,) = resource["participant"]
    assert found[participant["actor"]["reference"]]["id"] == ORDER.patient
    assert participant["actor"]["identifier"]["value"] == ORDER.patient


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("reason", ["new", "update"])
def test_f14_an_organisation_of_which_nothing_is_known_is_left_out(reason: str, slots: int) -> None:
    found = parts(message(reason, None, slots))
    kinds = [one for one in found.values() if one["resourceType"] == "Organization"]
    assert [one["identifier"][0]["value"] for one in kinds] == ["Y12345"]
    (destination,) = next(iter(found.values()))["destination"]
    assert destination == {"endpoint": "https://fhir.nhs.uk/Id/dos-service-id|2000099999"}


def test_headers_are_resources_in_base64() -> None:
    reported = {name: json.loads(b64decode(value)) for name, value in build_headers(SENDER).items()}
    assert reported["NHSD-End-User-Organisation"]["identifier"][0]["value"] == "Y12345"
    assert reported["NHSD-Requesting-Software"]["resourceType"] == "Device"
    assert json.loads(b64decode(encode_target("2000099999"))) == {
        "system": "https://fhir.nhs.uk/Id/dos-service-id",
        "value": "2000099999",
    }


def test_i9_no_patient_shows_in_a_repr() -> None:
    assert repr(BOOKING) == "<BookingMessage>"
