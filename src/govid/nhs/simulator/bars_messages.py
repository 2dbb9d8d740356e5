"""Checks BaRS requests, processes messages and builds the response Bundles.

Booking, moving and cancelling use one operation, `$process-message`. The status of the appointment
to which the message header refers determines which of them is requested.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from litestar import Request

from govid.nhs.simulator.bars_errors import BarsError, bad_request, bad_target, receiver_error
from govid.nhs.simulator.bars_resources import (
    Resource,
    build_appointment,
    parse_booking,
    parse_time,
)
from govid.nhs.simulator.diary import Diary, DiaryEntry

REST_VERSIONS = frozenset({"1.1.0", "1.2.0", "1.3.0", "1.4.0"})
VERSIONS = REST_VERSIONS | {"1.0.0"}

AnyRequest = Request[Any, Any, Any]


def check_ids(request: AnyRequest) -> None:
    """Require a request id and a correlation id.

    Raises:
        BarsError: one of them is missing or not a UUID.
    """
    for name in ("X-Request-Id", "X-Correlation-Id"):
        try:
            UUID(request.headers.get(name, ""))
        except ValueError:
            raise BarsError(400, "BAD_REQUEST", "invalid", f"{name} is needed") from None


def check_target(header: str | None) -> None:
    """Require a target that is a known service; test targets respond with an error.

    Raises:
        BarsError: the target is missing, malformed, unknown, or a test target.
    """
    if header is None:
        raise BarsError(400, "BAD_REQUEST", "invalid", "NHSD-Target-Identifier is needed")
    try:
        decoded = b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        text = "The base64 decoding of the NHSD-Target-Identifier header failed."
        raise bad_target(text) from None
    try:
        target = msgspec.json.decode(decoded, type=dict[str, str])
        system, value = target["system"], target["value"]
    except (msgspec.DecodeError, KeyError):
        raise bad_target("Invalid schema for NHSD-Target-Identifier header") from None
    if system == "tests":
        # Published targets that respond with the error in their name: NHS0001-409.
        raise receiver_error(int(value.rpartition("-")[2]))
    if not value.startswith("2000"):
        raise BarsError(404, "PROXY_NOT_FOUND", "not-found", "no such target")


def check_version(request: AnyRequest, allow: str | None) -> None:
    """Require a known version; with *allow*, one that has REST verbs and not only messages.

    Raises:
        BarsError: the version is unknown or lacks this verb.
    """
    _, _, version = request.headers.get("accept", "").replace(" ", "").partition(";version=")
    version = version or "1.0.0"
    if version not in VERSIONS:
        raise receiver_error(406)
    if allow is not None and version not in REST_VERSIONS:
        raise BarsError(405, "SEND_METHOD_NOT_ALLOWED", "not-supported", headers={"Allow": allow})


def parse_bound(values: list[str], prefix: str) -> datetime:
    """Return the first of *values* with *prefix* as a time.

    Raises:
        BarsError: no value has the prefix, or it is no time.
    """
    for one in values:
        if one.startswith(prefix):
            try:
                # A plus sign that was not percent-encoded arrives as a space.
                return parse_time(one.removeprefix(prefix).replace(" ", "+"))
            except ValueError:
                break
    raise bad_request("a beginning and an end are needed")


def parse_if_match(request: AnyRequest) -> int:
    """Return the version in `If-Match`.

    Raises:
        BarsError: the header is missing or malformed.
    """
    header = request.headers.get("if-match", "").removeprefix("W/").strip('"')
    if not header.isdecimal():
        raise bad_request("If-Match is needed")
    return int(header)


async def read_body(request: AnyRequest) -> dict[str, Any]:
    """Return the body as a JSON object.

    Raises:
        BarsError: it is not one.
    """
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_request("the body is not a resource") from None


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
