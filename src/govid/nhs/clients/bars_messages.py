"""Builds messages and request headers of the Booking and Referral Standard (BaRS).

Parties are identified by ODS code (organisations) and by number (services).
Source: NHSDigital/booking-and-referral-fhir-api, "Make a booking" (production, 1.0.0).
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec

from govid.bus.shared.privacy import RedactedStruct
from govid.nhs.clients.interfaces import BookingOrder
from govid.nhs.slots import FreeSlot

SERVICE_SYSTEM = "https://fhir.nhs.uk/Id/dos-service-id"
NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
_ODS_SYSTEM = "https://fhir.nhs.uk/Id/ods-organization-code"


class BookingSender(msgspec.Struct, frozen=True, kw_only=True):
    """Organisation for which govid books, and the address for replies of practices.

    `ods` is the organisation's code, `endpoint` its number in the Directory of Services.
    """

    ods_code: str
    endpoint: str


def build_organisation(ods_code: str) -> dict[str, Any]:
    """Return the `Organization` resource with the code *ods_code*."""
    return {
        "resourceType": "Organization",
        "identifier": [{"system": _ODS_SYSTEM, "value": ods_code}],
    }


def build_schedule(service: str) -> dict[str, Any]:
    """Return a `Schedule` resource of *service*; its slots determine which of several it is."""
    return {
        "resourceType": "Schedule",
        "actor": [{"identifier": {"system": SERVICE_SYSTEM, "value": service}}],
    }


_EVENTS = "https://fhir.nhs.uk/CodeSystem/message-events-bars"
_REASONS = "https://fhir.nhs.uk/CodeSystem/message-reason-bars"
_DEFINITION = "https://fhir.nhs.uk/MessageDefinition/bars-message-booking-request"
_PROFILE = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Appointment"

Resource = Mapping[str, Any]


def encode_target(service: str) -> str:
    """Return the header value that addresses the practice *service*."""
    return _encode_resource({"system": SERVICE_SYSTEM, "value": service})


def build_headers(sender: BookingSender) -> dict[str, str]:
    """Return the headers that identify the sender and its software."""
    software = {"resourceType": "Device", "deviceName": [{"name": "govid", "type": "model-name"}]}
    return {
        "NHSD-End-User-Organisation": _encode_resource(build_organisation(sender.ods_code)),
        "NHSD-Requesting-Software": _encode_resource(software),
    }


def build_appointment(order: BookingOrder) -> dict[str, Any]:
    """Return the `Appointment` resource for *order*."""
    resource: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": str(order.id),
        "meta": {"profile": [_PROFILE]},
        "status": "booked",
        "start": format_time(order.slots[0].start),
        "end": format_time(order.slots[-1].end),
        "created": format_time(order.created),
        "slot": [{"reference": f"Slot/{one.id}"} for one in order.slots],
        "participant": [
            {
                "actor": {
                    "reference": f"Patient/{order.patient}",
                    "identifier": {"system": NUMBER_SYSTEM, "value": order.patient},
                },
                "status": "accepted",
            }
        ],
    }
    if order.description:
        resource["description"] = order.description
    return resource


class BookingMessage(RedactedStruct, frozen=True, kw_only=True):
    """BaRS message that asks a practice to store *resource*.

    `reason` is new, update or delete. `order` is the requested booking, if slots are involved.
    """

    resource: Resource
    reason: str
    service: str
    sender: BookingSender
    receiver: str | None
    """ODS code of the organisation that runs the service, if known."""
    order: BookingOrder | None = None

    def encode(self, sent_at: datetime) -> bytes:
        """Return the Bundle. Its id is derived from its content, so a repeated message keeps it."""
        focus = _urn(self.resource["id"])
        entries = [
            (_urn(self._message_id()), self._build_header(focus)),
            (focus, self._with_bundle_references()),
            *(self._booking_entries(self.order) if self.order is not None else ()),
            *self._receiver_entries(),
            (self._urn("sender"), build_organisation(self.sender.ods_code)),
        ]
        return msgspec.json.encode(
            {
                "resourceType": "Bundle",
                "type": "message",
                "timestamp": format_time(sent_at),
                "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
            }
        )

    def _with_bundle_references(self) -> Resource:
        """Return the resource with references to entries of this Bundle, by their `fullUrl`.

        A relative reference would not resolve: an entry's URL is a `urn:uuid` (FHIR R4, "Resolving
        references in Bundles"). Without an order there are no such entries, and the references of
        the practice are kept.
        """
        if self.order is None:
            return self.resource
        slots = [{"reference": self._urn(one.id)} for one in self.order.slots]
        participants = [
            {**one, "actor": {**one["actor"], "reference": self._urn("patient")}}
            if _last_segment(one["actor"].get("reference", "")) == self.order.patient
            else one
            for one in self.resource.get("participant", ())
        ]
        return {**self.resource, "slot": slots, "participant": participants}

    def _receiver_entries(self) -> Sequence[tuple[str, Resource]]:
        """Return the organisation that runs the service, if known (`ele-1`: never empty)."""
        if self.receiver is None:
            return ()
        return ((self._urn("receiver"), build_organisation(self.receiver)),)

    def _build_header(self, focus: str) -> Resource:
        receiver = [{"reference": url} for url, _ in self._receiver_entries()]
        return {
            "resourceType": "MessageHeader",
            "eventCoding": {"system": _EVENTS, "code": "booking-request"},
            "reason": {"coding": [{"system": _REASONS, "code": self.reason}]},
            "destination": [
                {
                    "endpoint": f"{SERVICE_SYSTEM}|{self.service}",
                    **({"receiver": receiver[0]} if receiver else {}),
                }
            ],
            "sender": {"reference": self._urn("sender")},
            "source": {"name": "govid", "endpoint": f"{SERVICE_SYSTEM}|{self.sender.endpoint}"},
            "focus": [{"reference": focus}],
            "definition": _DEFINITION,
        }

    def _booking_entries(self, order: BookingOrder) -> Sequence[tuple[str, Resource]]:
        """Return the slots, schedule and patient to which the appointment refers."""
        patient = {
            "resourceType": "Patient",
            "id": order.patient,
            "identifier": [{"system": NUMBER_SYSTEM, "value": order.patient}],
        }
        where = self._urn("schedule")
        return (
            *((self._urn(one.id), _build_busy_slot(one, where)) for one in order.slots),
            (where, build_schedule(self.service)),
            (self._urn("patient"), patient),
        )

    def _message_id(self) -> str:
        return str(uuid5(NAMESPACE_OID, msgspec.json.encode([self.reason, self.resource]).decode()))

    def _urn(self, part: str) -> str:
        return _urn(str(uuid5(NAMESPACE_OID, f"{self._message_id()} {part}")))


def format_time(when: datetime) -> str:
    """Format *when* as BaRS requires: in UTC, with offset."""
    return when.astimezone(UTC).isoformat(timespec="seconds")


def _build_busy_slot(slot: FreeSlot, where: str) -> Resource:
    return {
        "resourceType": "Slot",
        "id": slot.id,
        "schedule": {"reference": where},
        "status": "busy",
        "start": format_time(slot.start),
        "end": format_time(slot.end),
    }


def _last_segment(reference: str) -> str:
    return reference.rpartition("/")[2]


def _urn(uuid: object) -> str:
    return f"urn:uuid:{uuid}"


def _encode_resource(resource: Resource) -> str:
    return b64encode(msgspec.json.encode(resource)).decode()
