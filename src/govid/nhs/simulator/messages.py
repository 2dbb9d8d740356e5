"""Processes BaRS messages and builds the response Bundles.

Booking, moving and cancelling use one operation, `$process-message`. The status of the appointment
to which the message header refers determines which of them is requested.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from govid.nhs.simulator.bars_errors import bad_request, receiver_error
from govid.nhs.simulator.bars_resources import Resource, build_appointment, parse_booking
from govid.nhs.simulator.diary import Diary, DiaryEntry

_URN = "urn:uuid:"


class MessageProcessor:
    """Processes each message once."""

    def __init__(self, diary: Diary) -> None:
        """Store appointments in *diary*."""
        self._diary = diary
        self._processed: set[str] = set()

    def process(self, bundle: Mapping[str, Any]) -> Resource:
        """Process the message *bundle* and return the response Bundle.

        Raises:
            BarsError: the message is malformed or has been processed before.
            DiaryRefusal: the diary refuses it.
        """
        header, message_id, parts = _parse_bundle(bundle)
        if message_id in self._processed:
            raise _duplicate_error()
        if header.get("eventCoding", {}).get("code") != "booking-request":
            raise receiver_error(422, "unknown event")
        focus, resource = _find_appointment(header, parts)
        entry = self._apply(focus, _resolve_slots(resource, parts))
        self._processed.add(message_id)
        return _build_response(message_id, entry)

    def _apply(self, focus: str, resource: Mapping[str, Any]) -> DiaryEntry:
        appointment_id = str(resource.get("id") or focus.removeprefix(_URN))
        booking = parse_booking(resource, appointment_id)
        version = str(resource.get("meta", {}).get("versionId", ""))
        version_number = int(version) if version.isdecimal() else None
        match resource.get("status"):
            case "booked" if version_number is None:
                return self._diary.book(booking)
            case "booked":
                return self._diary.move(booking, version_number)
            case "cancelled":
                return self._diary.cancel(booking, version_number)
        raise bad_request("the status must be booked or cancelled")


def _parse_bundle(
    bundle: Mapping[str, Any],
) -> tuple[Mapping[str, Any], str, Mapping[str, Mapping[str, Any]]]:
    """Return the header, the id of the message, and all entries by their URL."""
    try:
        parts = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
        first = bundle["entry"][0]
        kinds = (bundle["type"], first["resource"]["resourceType"])
    except (KeyError, TypeError, IndexError):
        kinds = ("", "")
    if kinds != ("message", "MessageHeader"):
        raise bad_request("a message is a Bundle that begins with its header")
    return first["resource"], str(first["fullUrl"]), parts


def _find_appointment(
    header: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]
) -> tuple[str, Mapping[str, Any]]:
    try:
        focus = str(header["focus"][0]["reference"])
        resource = parts[focus]
    except (KeyError, TypeError, IndexError):
        raise bad_request("the header points to nothing") from None
    if resource.get("resourceType") != "Appointment":
        raise bad_request("the header points to no appointment")
    return focus, resource


def _resolve_slots(
    resource: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return *resource* with references into the Bundle replaced by slot ids."""
    try:
        urls = [str(one["reference"]) for one in resource.get("slot", ())]
    except (KeyError, TypeError, AttributeError):
        return resource
    slots = [
        {"reference": f"Slot/{parts[url]['id']}" if "id" in parts.get(url, {}) else url}
        for url in urls
    ]
    return {**resource, "slot": slots} if "slot" in resource else resource


def _duplicate_error() -> Exception:
    error = receiver_error(409, "message already processed")
    error.body = error.body.replace(b'"code":"conflict"', b'"code":"duplicate"')
    return error


def _build_response(message_id: str, entry: DiaryEntry) -> Resource:
    header_url = f"{_URN}{uuid4()}"
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {
            "system": "https://fhir.nhs.uk/CodeSystem/message-events-bars",
            "code": "booking-response",
        },
        "response": {"identifier": message_id.removeprefix(_URN), "code": "ok"},
        "focus": [{"reference": f"Appointment/{entry.booking.id}"}],
    }
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "type": "message",
        "entry": [
            {"fullUrl": header_url, "resource": header},
            {
                "fullUrl": f"Appointment/{entry.booking.id}",
                "resource": build_appointment(entry),
            },
        ],
    }
