"""Parses BaRS responses of practices leniently: unknown members are ignored."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, NoReturn

from govid.bus.upstream import UnusableResponse, UpstreamResponse
from govid.nhs.clients.bars_messages import NUMBER_SYSTEM
from govid.nhs.clients.fhir_resources import OperationOutcome
from govid.nhs.clients.interfaces import PracticeAppointment, PracticeRuleBroken
from govid.nhs.slots import AppointmentStatus, FreeSlot

STATUS_BY_CODE: Mapping[str, AppointmentStatus] = {
    "proposed": AppointmentStatus.REQUESTED,
    "pending": AppointmentStatus.REQUESTED,
    "waitlist": AppointmentStatus.REQUESTED,
    "booked": AppointmentStatus.CONFIRMED,
    "arrived": AppointmentStatus.CONFIRMED,
    "checked-in": AppointmentStatus.CONFIRMED,
    "fulfilled": AppointmentStatus.COMPLETED,
    "noshow": AppointmentStatus.COMPLETED,
    "cancelled": AppointmentStatus.CANCELLED,
    "entered-in-error": AppointmentStatus.CANCELLED,
}
"""Status of a BaRS appointment, mapped to that of govid."""

Interval = tuple[datetime, datetime]


def parse_message_response(response: UpstreamResponse, service: str) -> PracticeAppointment:
    """Return the appointment in the response to a message.

    Raises:
        PracticeRuleBroken: the request breaks a rule of the practice.
        UnusableResponse: the response is unusable.
    """
    if not response.is_success:
        raise_refusal(response)
    found = bundle_resources(response, "Appointment")
    if not found:
        raise UnusableResponse(response.department, "no appointment")
    return parse_appointment(response, found[0], service)


def raise_refusal(response: UpstreamResponse) -> NoReturn:
    """Raise the error that matches a refusal.

    Raises:
        PracticeRuleBroken: the request breaks a rule of the practice.
        UnusableResponse: the refusal concerns govid itself, or is unknown.
    """
    if response.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and any(
        code.startswith("REC_") for code in error_codes(response)
    ):
        raise PracticeRuleBroken
    raise UnusableResponse(response.department, f"status {response.status}")


def parse_appointment(
    response: UpstreamResponse, resource: Mapping[str, Any], service: str
) -> PracticeAppointment:
    """Convert an `Appointment` resource.

    Raises:
        UnusableResponse: its status is unknown or its id is missing.
    """
    status = STATUS_BY_CODE.get(str(resource.get("status")))
    if status is None or "id" not in resource:
        raise UnusableResponse(response.department, "unknown appointment")
    return PracticeAppointment(
        id=str(resource["id"]),
        service=service,
        status=status,
        start=_parse_moment(resource.get("start")),
        end=_parse_moment(resource.get("end")),
        version=_resource_version(resource),
        resource=resource,
        detail=str(resource["status"]),
    )


def is_same_appointment(
    response: UpstreamResponse,
    found: PracticeAppointment,
    *,
    appointment_id: str,
    patient: str,
    when: Interval,
) -> bool:
    """Tell whether *found* is this appointment of *patient*, at *when*.

    A proposed or cancelled appointment need not have a time.
    """
    if (found.id, _patient_numbers(response, found.resource)) != (appointment_id, {patient}):
        return False
    has_time = (found.start, found.end) != (None, None)
    needs_time = has_time or found.status is AppointmentStatus.CONFIRMED
    return not needs_time or (found.start, found.end) == when


def parse_slot(response: UpstreamResponse, resource: Mapping[str, Any], service: str) -> FreeSlot:
    """Convert a `Slot` resource of *service*.

    Raises:
        UnusableResponse: its id, start or end is missing.
    """
    start, end = _parse_moment(resource.get("start")), _parse_moment(resource.get("end"))
    if start is None or end is None or "id" not in resource:
        raise UnusableResponse(response.department, "unknown slot")
    return FreeSlot(id=str(resource["id"]), service=service, start=start, end=end)


def bundle_resources(response: UpstreamResponse, kind: str) -> list[Mapping[str, Any]]:
    """Return the resources of type *kind* in a Bundle; none if it has no `entry`."""
    bundle = response.decode(dict[str, Any])
    entries = bundle.get("entry") or []
    if not isinstance(entries, list):
        raise UnusableResponse(response.department, "unknown bundle")
    found = [one.get("resource") for one in entries if isinstance(one, dict)]
    return [one for one in found if isinstance(one, dict) and one.get("resourceType") == kind]


def error_codes(response: UpstreamResponse) -> frozenset[str]:
    """Return the NHS error codes of a refusal, such as `REC_CONFLICT`."""
    return frozenset() if response.is_success else response.decode(OperationOutcome).error_codes


def issue_types(response: UpstreamResponse) -> frozenset[str]:
    """Return the FHIR issue types of a refusal, such as `duplicate`."""
    return frozenset() if response.is_success else response.decode(OperationOutcome).issue_types


def is_token_refusal(response: UpstreamResponse) -> bool:
    """Tell whether the practice refused the access token."""
    return response.status == HTTPStatus.UNAUTHORIZED and "SEND_UNAUTHORIZED" in error_codes(
        response
    )


def _patient_numbers(response: UpstreamResponse, resource: Mapping[str, Any]) -> set[str]:
    """Return the NHS numbers of the patients in *resource* or in the Bundle around it.

    Without an identifier, the number is the end of a reference to a patient.
    """
    actors = [_object_member(one, "actor") for one in _list_member(resource, "participant")]
    patients = bundle_resources(response, "Patient")
    identifiers = [
        *(_object_member(actor, "identifier") for actor in actors),
        *(one for patient in patients for one in _list_member(patient, "identifier")),
    ]
    found = {str(one["value"]) for one in identifiers if one.get("system") == NUMBER_SYSTEM}
    references = [str(actor.get("reference", "")).rpartition("Patient/") for actor in actors]
    return found or {number for _, is_patient, number in references if is_patient}


def _list_member(resource: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    members = resource.get(name)
    return [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []


def _object_member(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = resource.get(name)
    return member if isinstance(member, dict) else {}


def _parse_moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _resource_version(resource: Mapping[str, Any]) -> str | None:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return None if version is None else str(version)
