"""BaRS messages: what a Bundle asks for, and the Bundle that answers it.

Booking, moving and cancelling are one call, `$process-message`; what is meant stands in the
appointment that the header points to.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from govid.nhs.simulator.bars_errors import bad_request, of_receiver
from govid.nhs.simulator.bars_resources import Resource, appointment, booking_of
from govid.nhs.simulator.diary import Diary, Entry

_URN = "urn:uuid:"


class Messages:
    """Carries out messages, each once."""

    def __init__(self, diary: Diary) -> None:
        """Write into *diary*."""
        self._diary = diary
        self._done: set[str] = set()

    def process(self, bundle: Mapping[str, Any]) -> Resource:
        """Do what *bundle* asks for, and return the answer.

        Raises:
            BarsError: it was done before, or cannot be read.
            Refused: the diary says no.
        """
        header, message_id, parts = _opened(bundle)
        if message_id in self._done:
            raise _duplicate()
        if header.get("eventCoding", {}).get("code") != "booking-request":
            raise of_receiver(422, "unknown event")
        focus, resource = _focus(header, parts)
        entry = self._carried_out(focus, _resolved(resource, parts))
        self._done.add(message_id)
        return _answer(message_id, entry)

    def _carried_out(self, focus: str, resource: Mapping[str, Any]) -> Entry:
        appointment_id = str(resource.get("id") or focus.removeprefix(_URN))
        wish = booking_of(resource, appointment_id)
        version = str(resource.get("meta", {}).get("versionId", ""))
        known = int(version) if version.isdecimal() else None
        match resource.get("status"):
            case "booked" if known is None:
                return self._diary.book(wish)
            case "booked":
                return self._diary.change(wish, known)
            case "cancelled":
                return self._diary.cancel(wish, known)
        raise bad_request("an appointment is booked or cancelled by a message")


def _opened(
    bundle: Mapping[str, Any],
) -> tuple[Mapping[str, Any], str, Mapping[str, Mapping[str, Any]]]:
    """Return the header, the message's id, and all parts by their URL."""
    try:
        parts = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
        first = bundle["entry"][0]
        kinds = (bundle["type"], first["resource"]["resourceType"])
    except (KeyError, TypeError, IndexError):
        kinds = ("", "")
    if kinds != ("message", "MessageHeader"):
        raise bad_request("a message is a Bundle that begins with its header")
    return first["resource"], str(first["fullUrl"]), parts


def _focus(
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


def _resolved(
    resource: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return *resource* with the slots that it finds in the Bundle by their own ids."""
    try:
        urls = [str(one["reference"]) for one in resource.get("slot", ())]
    except (KeyError, TypeError, AttributeError):
        return resource
    slots = [
        {"reference": f"Slot/{parts[url]['id']}" if "id" in parts.get(url, {}) else url}
        for url in urls
    ]
    return {**resource, "slot": slots} if "slot" in resource else resource


def _duplicate() -> Exception:
    error = of_receiver(409, "message already processed")
    error.body = error.body.replace(b'"code":"conflict"', b'"code":"duplicate"')
    return error


def _answer(message_id: str, entry: Entry) -> Resource:
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
                "resource": appointment(entry),
            },
        ],
    }
