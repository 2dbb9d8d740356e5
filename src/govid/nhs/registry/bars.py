"""Booking and Referral as govid's way to the practices, by messages, as production has it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, NoReturn
from uuid import uuid4

from msgspec import structs

from govid.bus.upstream import Answer, Api, Authorised, Call, TokenCache, Unusable
from govid.nhs.decision import AppointmentStatus
from govid.nhs.registry import messages
from govid.nhs.registry.practices import (
    Appointment,
    AppointmentChanged,
    NoSuchAppointment,
    NotGranted,
    Order,
    SlotGone,
)
from govid.nhs.registry.record import OperationOutcome
from govid.nhs.slots import FreeSlot

VERSION = "1.0.0"
STATUSES: Mapping[str, AppointmentStatus] = {
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
"""What BaRS calls an appointment, and what govid calls it."""

_ACCEPTS = ("application/fhir+json", "application/json")
_PROCESS = "/$process-message"
_ONE = "/Appointment/{id}"


class RemotePractices:
    """Asks practices by BaRS, the real ones or simulated ones: it is the same to it."""

    def __init__(self, api: Api, tokens: TokenCache, ods: str) -> None:
        """Call *api* with *tokens*, on behalf of the organisation *ods*."""
        self._api = Authorised(api, tokens, _refuses_token)
        self._sender = messages.sender(ods)

    async def free_slots(
        self, service: str, since: datetime, until: datetime
    ) -> Sequence[FreeSlot]:
        """Return what is free between two times."""
        query = (
            ("status", "free"),
            ("start", f"ge{messages.moment(since)}"),
            ("start", f"le{messages.moment(until)}"),
            ("Schedule.actor:HealthcareService", service),
            ("_include", "Slot:schedule"),
            ("_include", "Schedule:actor:HealthcareService"),
        )
        answer = await self._ask("slots.find", "/Slot", "/Slot", service, query)
        if not answer.is_success:
            _refuse(answer)
        return [
            _slot(answer, one, service)
            for one in _resources(answer, "Slot")
            if one.get("status") == "free"
        ]

    async def book(self, order: Order) -> Appointment:
        """Book, unless the slot is somebody else's.

        It may be gone to ourselves: by a message whose answer was lost.
        """
        service = order.slots[0].service
        answer = await self._send("new", messages.appointment(order), service)
        if answer.status != HTTPStatus.CONFLICT:
            return _answered(answer, service)
        try:
            return await self.read(service, order.id)
        except NoSuchAppointment:
            raise SlotGone from None

    async def read(self, service: str, appointment_id: str) -> Appointment:
        """Return an appointment."""
        path = f"/Appointment/{appointment_id}"
        answer = await self._ask("appointment.read", _ONE, path, service)
        if answer.status == HTTPStatus.NOT_FOUND and "REC_NOT_FOUND" in _codes(answer):
            raise NoSuchAppointment
        if not answer.is_success:
            _refuse(answer)
        return _appointment(answer, answer.decode(dict[str, Any]), service)

    async def of_patient(self, service: str, nhs_number: str) -> Sequence[Appointment]:
        """Return a patient's appointments."""
        query = (("patient:identifier", f"{messages.NUMBER_SYSTEM}|{nhs_number}"),)
        answer = await self._ask("appointment.list", "/Appointment", "/Appointment", service, query)
        if not answer.is_success:
            _refuse(answer)
        return [_appointment(answer, one, service) for one in _resources(answer, "Appointment")]

    async def change(self, appointment: Appointment, order: Order) -> Appointment:
        """Move *appointment* to the slots of *order*."""
        wanted = messages.appointment(structs.replace(order, id=appointment.id))
        wanted["meta"] = appointment.resource.get("meta", {})
        answer = await self._send("update", wanted, appointment.service)
        if answer.status != HTTPStatus.CONFLICT:
            return _answered(answer, appointment.service)
        return await self._after_conflict(answer, appointment, SlotGone())

    async def cancel(self, appointment: Appointment) -> Appointment:
        """Cancel *appointment* as it was read."""
        wanted = {**appointment.resource, "status": "cancelled"}
        answer = await self._send("delete", wanted, appointment.service)
        if answer.status != HTTPStatus.CONFLICT:
            return _answered(answer, appointment.service)
        return await self._after_conflict(answer, appointment, AppointmentChanged())

    async def _after_conflict(
        self, answer: Answer, appointment: Appointment, otherwise: Exception
    ) -> Appointment:
        """Tell a message that was done before from an appointment that has changed meanwhile."""
        found = await self.read(appointment.service, appointment.id)
        if "duplicate" in _issues(answer):
            return found
        raise otherwise if found.version == appointment.version else AppointmentChanged

    async def _send(self, reason: str, resource: Mapping[str, Any], service: str) -> Answer:
        return await self._api.send(
            structs.replace(
                self._call(f"appointment.{reason}", _PROCESS, _PROCESS, service),
                method="POST",
                body=messages.message(resource, service, reason),
            )
        )

    async def _ask(
        self,
        operation: str,
        route: str,
        path: str,
        service: str,
        query: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        call = self._call(operation, route, path, service)
        return await self._api.send(structs.replace(call, query=query))

    def _call(self, operation: str, route: str, path: str, service: str) -> Call:
        return Call(
            operation=operation,
            method="GET",
            route=route,
            path=path,
            headers={
                **self._sender,
                "Accept": f"application/fhir+json; version={VERSION}",
                "Content-Type": "application/fhir+json",
                "NHSD-Target-Identifier": messages.target(service),
                "X-Request-Id": str(uuid4()),
                "X-Correlation-Id": str(uuid4()),
            },
            accepts=_ACCEPTS,
            # A message may be sent again: it is known by its own id.
            repeatable=True,
        )


def _answered(answer: Answer, service: str) -> Appointment:
    if not answer.is_success:
        _refuse(answer)
    found = _resources(answer, "Appointment")
    if not found:
        raise Unusable(answer.api, "no appointment")
    return _appointment(answer, found[0], service)


def _refuse(answer: Answer) -> NoReturn:
    """Say what a refusal means.

    Raises:
        NotGranted: a rule was broken.
        Unusable: the refusal is about us, or about nothing that is known.
    """
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and any(
        code.startswith("REC_") for code in _codes(answer)
    ):
        raise NotGranted
    raise Unusable(answer.api, f"status {answer.status}")


def _appointment(answer: Answer, resource: Mapping[str, Any], service: str) -> Appointment:
    status = STATUSES.get(str(resource.get("status")))
    if status is None or "id" not in resource:
        raise Unusable(answer.api, "unknown appointment")
    return Appointment(
        id=str(resource["id"]),
        service=service,
        status=status,
        start=_moment(resource.get("start")),
        end=_moment(resource.get("end")),
        version=resource.get("meta", {}).get("versionId"),
        resource=resource,
        detail=str(resource["status"]),
    )


def _slot(answer: Answer, resource: Mapping[str, Any], service: str) -> FreeSlot:
    start, end = _moment(resource.get("start")), _moment(resource.get("end"))
    if start is None or end is None or "id" not in resource:
        raise Unusable(answer.api, "unknown slot")
    return FreeSlot(id=str(resource["id"]), service=service, start=start, end=end)


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _resources(answer: Answer, kind: str) -> list[Mapping[str, Any]]:
    """Return the resources of a *kind* in a Bundle; without `entry` there are none."""
    bundle = answer.decode(dict[str, Any])
    entries = bundle.get("entry") or []
    if not isinstance(entries, list):
        raise Unusable(answer.api, "unknown bundle")
    found = [one.get("resource") for one in entries if isinstance(one, dict)]
    return [one for one in found if isinstance(one, dict) and one.get("resourceType") == kind]


def _codes(answer: Answer) -> frozenset[str]:
    return frozenset() if answer.is_success else answer.decode(OperationOutcome).codes


def _issues(answer: Answer) -> frozenset[str]:
    return frozenset() if answer.is_success else answer.decode(OperationOutcome).kinds


def _refuses_token(answer: Answer) -> bool:
    return answer.status == HTTPStatus.UNAUTHORIZED and "SEND_UNAUTHORIZED" in _codes(answer)
