"""BaRS messages and headers, as govid writes them.

Source: NHSDigital/booking-and-referral-fhir-api, "Make a booking" (production, 1.0.0).
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec

from govid.nhs.registry.practices import Order

NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
_SERVICE_SYSTEM = "https://fhir.nhs.uk/Id/dos-service-id"
_ODS_SYSTEM = "https://fhir.nhs.uk/Id/ods-organization-code"
_EVENTS = "https://fhir.nhs.uk/CodeSystem/message-events-bars"
_REASONS = "https://fhir.nhs.uk/CodeSystem/message-reason-bars"
_PROFILE = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Appointment"

Resource = Mapping[str, Any]


def target(service: str) -> str:
    """Return the header that says to which practice a call goes."""
    return _encoded({"system": _SERVICE_SYSTEM, "value": service})


def sender(ods: str) -> dict[str, str]:
    """Return the headers that say who calls, and with what."""
    organisation = {
        "resourceType": "Organization",
        "identifier": [{"system": _ODS_SYSTEM, "value": ods}],
    }
    software = {"resourceType": "Device", "deviceName": [{"name": "govid", "type": "model-name"}]}
    return {
        "NHSD-End-User-Organisation": _encoded(organisation),
        "NHSD-Requesting-Software": _encoded(software),
    }


def appointment(order: Order) -> dict[str, Any]:
    """Return the `Appointment` that *order* wants."""
    resource: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": str(order.id),
        "meta": {"profile": [_PROFILE]},
        "status": "booked",
        "start": moment(order.slots[0].start),
        "end": moment(order.slots[-1].end),
        "created": moment(order.created),
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


def message(resource: Resource, service: str, reason: str) -> bytes:
    """Return the message that asks for *resource* to be as it stands there.

    Its id follows from what it asks for: sent again, it is the same message.
    """
    focus = f"urn:uuid:{resource['id']}"
    message_id = uuid5(NAMESPACE_OID, msgspec.json.encode([reason, resource]).decode())
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": _EVENTS, "code": "booking-request"},
        "reason": {"coding": [{"system": _REASONS, "code": reason}]},
        "destination": [{"endpoint": f"{_SERVICE_SYSTEM}|{service}"}],
        "source": {"name": "govid"},
        "focus": [{"reference": focus}],
        "definition": "https://fhir.nhs.uk/MessageDefinition/bars-message-booking-request",
    }
    return msgspec.json.encode(
        {
            "resourceType": "Bundle",
            "type": "message",
            "entry": [
                {"fullUrl": f"urn:uuid:{message_id}", "resource": header},
                {"fullUrl": focus, "resource": resource},
            ],
        }
    )


def moment(when: datetime) -> str:
    """Return *when* as BaRS writes it: in UTC, with its offset."""
    return when.astimezone(UTC).isoformat(timespec="seconds")


def _encoded(resource: Resource) -> str:
    return b64encode(msgspec.json.encode(resource)).decode()
