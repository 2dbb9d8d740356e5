"""Converts slots and appointments to FHIR R4 resources and back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from govid.nhs.simulator.bars_errors import bad_request
from govid.nhs.simulator.diary import SERVICES, DiaryBooking, DiaryEntry, DiarySlot

_UK = "https://fhir.hl7.org.uk/StructureDefinition/"
_NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
_FORBIDDEN = ("reason", "reasonCode", "reasonReference")

Resource = dict[str, Any]


def build_slot(one: DiarySlot) -> Resource:
    """Return the `Slot` resource of *one*."""
    return {
        "resourceType": "Slot",
        "id": one.id,
        "schedule": {"reference": f"Schedule/{_schedule_id(one.service)}"},
        "status": "free",
        "start": format_time(one.start),
        "end": format_time(one.end),
        "extension": [{"url": f"{_UK}Extension-UKCore-DeliveryChannel", "valueCode": "In-person"}],
    }


def build_service_resources(service: str) -> list[Resource]:
    """Return the `Schedule` and `HealthcareService` resources of *service*."""
    return [
        {
            "resourceType": "Schedule",
            "id": _schedule_id(service),
            "actor": [{"reference": f"HealthcareService/{service}"}],
        },
        {
            "resourceType": "HealthcareService",
            "id": service,
            "name": SERVICES[service],
            "specialty": [{"text": SERVICES[service]}],
        },
    ]


def build_appointment(entry: DiaryEntry) -> Resource:
    """Return the `Appointment` resource of *entry*."""
    booking = entry.booking
    resource: Resource = {
        "resourceType": "Appointment",
        "id": booking.id,
        "meta": {
            "profile": [f"{_UK}UKCore-Appointment"],
            "versionId": str(entry.version),
        },
        "status": entry.status,
        "start": format_time(booking.start),
        "end": format_time(booking.end),
        "created": format_time(entry.created),
        "slot": [{"reference": f"Slot/{one}"} for one in booking.slots],
        "participant": [
            {
                "actor": {
                    "reference": f"Patient/{booking.patient}",
                    "identifier": {"system": _NUMBER_SYSTEM, "value": booking.patient},
                },
                "status": "accepted",
            }
        ],
    }
    if booking.description:
        resource["description"] = booking.description
    if booking.comment:
        resource["comment"] = booking.comment
    return resource


def parse_booking(resource: Mapping[str, Any], appointment_id: str) -> DiaryBooking:
    """Return the booking that an `Appointment` resource describes.

    Raises:
        BarsError: a member is missing or not allowed.
    """
    if any(name in resource for name in _FORBIDDEN):
        raise bad_request("a reason is not allowed")
    try:
        return DiaryBooking(
            id=appointment_id,
            slots=tuple(_last_segment(one["reference"]) for one in resource["slot"]),
            patient=_parse_patient(resource["participant"]),
            start=parse_time(resource["start"]),
            end=parse_time(resource["end"]),
            description=str(resource.get("description", "")),
            comment=str(resource.get("comment", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise bad_request("status, slot, start, end, created and a patient are needed") from None


def build_searchset(resources: Sequence[Resource], base_url: str) -> Resource:
    """Return a searchset Bundle of *resources*."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
        "entry": [
            {"fullUrl": f"{base_url}/{one['resourceType']}/{one['id']}", "resource": one}
            for one in resources
        ],
    }


def format_time(when: datetime) -> str:
    """Format *when* as BaRS requires: in UTC, with offset."""
    return when.astimezone(UTC).isoformat(timespec="seconds")


def parse_time(text: str) -> datetime:
    """Parse *text* as a time with offset.

    Raises:
        ValueError: it is no time, or has no offset.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found


def _parse_patient(participants: Sequence[Mapping[str, Any]]) -> str:
    for one in participants:
        actor = one["actor"]
        if "identifier" in actor:
            return str(actor["identifier"]["value"])
        if str(actor.get("reference", "")).startswith("Patient/"):
            return _last_segment(actor["reference"])
    raise KeyError


def _last_segment(reference: str) -> str:
    return reference.rpartition("/")[2]


def _schedule_id(service: str) -> str:
    return "sched1111" if service == next(iter(SERVICES)) else f"sched{service}"
