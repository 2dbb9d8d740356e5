"""Client of the Booking and Referral Standard (BaRS), by messages as in production 1.0.0."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from msgspec import structs

from govid.bus import Clock
from govid.bus.upstream import Answer, Api, Authorised, Call, TokenCache
from govid.nhs.registry import answers, messages
from govid.nhs.registry.parties import NUMBER_SYSTEM, Sender
from govid.nhs.registry.practices import (
    Appointment,
    AppointmentChanged,
    NoSuchAppointment,
    Order,
    SlotGone,
)
from govid.nhs.slots import FreeSlot

VERSION = "1.0.0"
_ACCEPTS = ("application/fhir+json", "application/json")
_PROCESS = "/$process-message"
_ONE = "/Appointment/{id}"


class RemotePractices:
    """Books appointments at practices by BaRS, whether they are real or simulated."""

    def __init__(
        self,
        api: Api,
        tokens: TokenCache,
        sender: Sender,
        organisations: Mapping[str, str],
        clock: Clock,
    ) -> None:
        """Send requests by *api* for *sender*; *organisations* maps a service to its ODS code."""
        self._api = Authorised(api, tokens, answers.refuses_token)
        self._sender = sender
        self._organisations = organisations
        self._clock = clock

    async def free_slots(
        self, service: str, since: datetime, until: datetime
    ) -> Sequence[FreeSlot]:
        """Return the free slots between two times."""
        query = (
            ("status", "free"),
            ("start", f"ge{messages.moment(since)}"),
            ("start", f"le{messages.moment(until)}"),
            ("Schedule.actor:HealthcareService", service),
            ("_include", "Slot:schedule"),
            ("_include", "Schedule:actor:HealthcareService"),
        )
        answer = await self._get("slots.find", "/Slot", "/Slot", service, query)
        if not answer.is_success:
            answers.refuse(answer)
        slots = [
            answers.slot(answer, one, service)
            for one in answers.resources(answer, "Slot")
            if one.get("status") == "free"
        ]
        return [one for one in slots if since <= one.start < one.end <= until]

    async def book(self, order: Order) -> Appointment:
        """Book the slots; return the existing appointment if an earlier message booked them.

        After a conflict the appointment is read: the response to an earlier message may be lost.
        """
        service = order.slots[0].service
        answer = await self._send("new", messages.appointment(order), service, order)
        if answer.status != HTTPStatus.CONFLICT:
            return self._checked(answer, answers.answered(answer, service), order)
        try:
            answer, found = await self._read(service, order.id)
        except NoSuchAppointment:
            raise SlotGone from None
        return self._checked(answer, found, order)

    async def read(self, service: str, appointment_id: str) -> Appointment:
        """Return an appointment of the practice."""
        _, found = await self._read(service, appointment_id)
        return found

    async def _read(self, service: str, appointment_id: str) -> tuple[Answer, Appointment]:
        path = f"/Appointment/{appointment_id}"
        answer = await self._get("appointment.read", _ONE, path, service)
        if answer.status == HTTPStatus.NOT_FOUND and "REC_NOT_FOUND" in answers.codes(answer):
            raise NoSuchAppointment
        if not answer.is_success:
            answers.refuse(answer)
        found = answers.appointment(answer, answer.decode(dict[str, Any]), service)
        if found.id != appointment_id:
            self._api.api.refuse_other_subject()
        return answer, found

    async def of_patient(self, service: str, nhs_number: str) -> Sequence[Appointment]:
        """Return all appointments of a patient."""
        query = (("patient:identifier", f"{NUMBER_SYSTEM}|{nhs_number}"),)
        answer = await self._get("appointment.list", "/Appointment", "/Appointment", service, query)
        if not answer.is_success:
            answers.refuse(answer)
        found = [
            answers.appointment(answer, one, service)
            for one in answers.resources(answer, "Appointment")
        ]
        if not all(
            answers.is_about(answer, one, appointment_id=one.id, patient=nhs_number)
            for one in found
        ):
            self._api.api.refuse_other_subject()
        return found

    async def change(self, appointment: Appointment, order: Order) -> Appointment:
        """Move *appointment* to the slots of *order*."""
        order = structs.replace(order, id=appointment.id)
        wanted = messages.appointment(order)
        wanted["meta"] = appointment.resource.get("meta", {})
        answer = await self._send("update", wanted, appointment.service, order)
        if answer.status != HTTPStatus.CONFLICT:
            return self._checked(answer, answers.answered(answer, appointment.service), order)
        return await self._after_conflict(answer, appointment, SlotGone())

    async def cancel(self, appointment: Appointment) -> Appointment:
        """Cancel *appointment* in the version that was read."""
        wanted = {**appointment.resource, "status": "cancelled"}
        answer = await self._send("delete", wanted, appointment.service)
        if answer.status != HTTPStatus.CONFLICT:
            found = answers.answered(answer, appointment.service)
            if found.id != appointment.id:
                self._api.api.refuse_other_subject()
            return found
        return await self._after_conflict(answer, appointment, AppointmentChanged())

    async def _after_conflict(
        self, answer: Answer, appointment: Appointment, otherwise: Exception
    ) -> Appointment:
        """Distinguish a repeated message from an appointment that has changed meanwhile."""
        found = await self.read(appointment.service, appointment.id)
        if "duplicate" in answers.issues(answer):
            return found
        raise otherwise if found.version == appointment.version else AppointmentChanged

    def _checked(self, answer: Answer, found: Appointment, order: Order) -> Appointment:
        """Return *found* if it matches *order*.

        Raises:
            Unusable: its id, patient or time differs.
        """
        when = (order.slots[0].start, order.slots[-1].end)
        if not answers.is_about(
            answer, found, appointment_id=order.id, patient=order.patient, when=when
        ):
            self._api.api.refuse_other_subject()
        return found

    async def _send(
        self, reason: str, resource: Mapping[str, Any], service: str, order: Order | None = None
    ) -> Answer:
        message = messages.Message(
            resource=resource,
            reason=reason,
            service=service,
            sender=self._sender,
            receiver=self._organisations.get(service),
            order=order,
        )
        return await self._api.send(
            structs.replace(
                self._request(f"appointment.{reason}", _PROCESS, _PROCESS, service),
                method="POST",
                body=message.encode(self._clock.now()),
            )
        )

    async def _get(
        self,
        operation: str,
        route: str,
        path: str,
        service: str,
        query: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        call = self._request(operation, route, path, service)
        return await self._api.send(structs.replace(call, query=query))

    def _request(self, operation: str, route: str, path: str, service: str) -> Call:
        return Call(
            operation=operation,
            method="GET",
            route=route,
            path=path,
            headers={
                **messages.headers(self._sender),
                "Accept": f"application/fhir+json; version={VERSION}",
                "Content-Type": "application/fhir+json",
                "NHSD-Target-Identifier": messages.target(service),
                "X-Request-Id": str(uuid4()),
                "X-Correlation-Id": str(uuid4()),
            },
            accepts=_ACCEPTS,
            # A message may be repeated: the practice recognises it by its id.
            repeatable=True,
        )
