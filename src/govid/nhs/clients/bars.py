"""Client of the Booking and Referral Standard (BaRS), by messages as in production 1.0.0."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from msgspec import structs

from govid.bus import Clock
from govid.bus.upstream import (
    AuthorisedClient,
    TokenCache,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)
from govid.nhs.clients import bars_messages, bars_responses
from govid.nhs.clients.bars_messages import BookingSender
from govid.nhs.clients.interfaces import (
    AppointmentChanged,
    BookingOrder,
    PracticeAppointment,
    SlotGone,
    UnknownAppointment,
)
from govid.nhs.slots import FreeSlot

BARS_VERSION = "1.0.0"
_ACCEPTS = ("application/fhir+json", "application/json")
_PROCESS = "/$process-message"
_ONE = "/Appointment/{id}"


class BarsClient:
    """Books appointments at practices by BaRS, whether they are real or simulated."""

    def __init__(
        self,
        api: UpstreamClient,
        tokens: TokenCache,
        sender: BookingSender,
        organisations: Mapping[str, str],
        clock: Clock,
    ) -> None:
        """Send requests by *api* for *sender*; *organisations* maps a service to its ODS code."""
        self._api = AuthorisedClient(api, tokens, bars_responses.is_token_refusal)
        self._sender = sender
        self._organisations = organisations
        self._clock = clock

    async def fetch_free_slots(
        self, service: str, since: datetime, until: datetime
    ) -> Sequence[FreeSlot]:
        """Return the free slots between two times."""
        query = (
            ("status", "free"),
            ("start", f"ge{bars_messages.format_time(since)}"),
            ("start", f"le{bars_messages.format_time(until)}"),
            ("Schedule.actor:HealthcareService", service),
            ("_include", "Slot:schedule"),
            ("_include", "Schedule:actor:HealthcareService"),
        )
        response = await self._send_get("slots.find", "/Slot", "/Slot", service, query)
        if not response.is_success:
            bars_responses.raise_refusal(response)
        slots = [
            bars_responses.parse_slot(response, one, service)
            for one in bars_responses.bundle_resources(response, "Slot")
            if one.get("status") == "free"
        ]
        return [one for one in slots if since <= one.start < one.end <= until]

    async def book(self, order: BookingOrder) -> PracticeAppointment:
        """Book the slots; return the existing appointment if an earlier message booked them.

        After a conflict the appointment is read: the response to an earlier message may be lost.
        """
        service = order.slots[0].service
        response = await self._send_message(
            "new", bars_messages.build_appointment(order), service, order
        )
        if response.status != HTTPStatus.CONFLICT:
            return self._require_same_appointment(
                response, bars_responses.parse_message_response(response, service), order
            )
        try:
            response, found = await self._fetch_appointment(service, order.id)
        except UnknownAppointment:
            raise SlotGone from None
        return self._require_same_appointment(response, found, order)

    async def fetch_appointment(self, service: str, appointment_id: str) -> PracticeAppointment:
        """Return an appointment of the practice."""
        _, found = await self._fetch_appointment(service, appointment_id)
        return found

    async def _fetch_appointment(
        self, service: str, appointment_id: str
    ) -> tuple[UpstreamResponse, PracticeAppointment]:
        path = f"/Appointment/{appointment_id}"
        response = await self._send_get("appointment.read", _ONE, path, service)
        if (
            response.status == HTTPStatus.NOT_FOUND
            and "REC_NOT_FOUND" in bars_responses.error_codes(response)
        ):
            raise UnknownAppointment
        if not response.is_success:
            bars_responses.raise_refusal(response)
        found = bars_responses.parse_appointment(response, response.decode(dict[str, Any]), service)
        if found.id != appointment_id:
            self._api.client.reject_other_subject()
        return response, found

    async def move(
        self, appointment: PracticeAppointment, order: BookingOrder
    ) -> PracticeAppointment:
        """Move *appointment* to the slots of *order*."""
        order = structs.replace(order, id=appointment.id)
        wanted = bars_messages.build_appointment(order)
        wanted["meta"] = appointment.resource.get("meta", {})
        response = await self._send_message("update", wanted, appointment.service, order)
        if response.status != HTTPStatus.CONFLICT:
            return self._require_same_appointment(
                response,
                bars_responses.parse_message_response(response, appointment.service),
                order,
            )
        return await self._resolve_conflict(response, appointment, SlotGone())

    async def cancel(self, appointment: PracticeAppointment) -> PracticeAppointment:
        """Cancel *appointment* in the version that was read."""
        wanted = {**appointment.resource, "status": "cancelled"}
        response = await self._send_message("delete", wanted, appointment.service)
        if response.status != HTTPStatus.CONFLICT:
            found = bars_responses.parse_message_response(response, appointment.service)
            if found.id != appointment.id:
                self._api.client.reject_other_subject()
            return found
        return await self._resolve_conflict(response, appointment, AppointmentChanged())

    async def _resolve_conflict(
        self,
        response: UpstreamResponse,
        appointment: PracticeAppointment,
        conflict_error: Exception,
    ) -> PracticeAppointment:
        """Distinguish a repeated message from an appointment that has changed meanwhile."""
        found = await self.fetch_appointment(appointment.service, appointment.id)
        if "duplicate" in bars_responses.issue_types(response):
            return found
        raise conflict_error if found.version == appointment.version else AppointmentChanged

    def _require_same_appointment(
        self, response: UpstreamResponse, found: PracticeAppointment, order: BookingOrder
    ) -> PracticeAppointment:
        """Return *found* if it matches *order*.

        Raises:
            UnusableResponse: its id, patient or time differs.
        """
        when = (order.slots[0].start, order.slots[-1].end)
        if not bars_responses.is_same_appointment(
            response, found, appointment_id=order.id, patient=order.patient, when=when
        ):
            self._api.client.reject_other_subject()
        return found

    async def _send_message(
        self,
        reason: str,
        resource: Mapping[str, Any],
        service: str,
        order: BookingOrder | None = None,
    ) -> UpstreamResponse:
        message = bars_messages.BookingMessage(
            resource=resource,
            reason=reason,
            service=service,
            sender=self._sender,
            receiver=self._organisations.get(service),
            order=order,
        )
        return await self._api.request(
            structs.replace(
                self._build_request(f"appointment.{reason}", _PROCESS, _PROCESS, service),
                method="POST",
                body=message.encode(self._clock.now()),
            )
        )

    async def _send_get(
        self,
        operation: str,
        route: str,
        path: str,
        service: str,
        query: Sequence[tuple[str, str]] = (),
    ) -> UpstreamResponse:
        request = self._build_request(operation, route, path, service)
        return await self._api.request(structs.replace(request, query=query))

    def _build_request(
        self, operation: str, route: str, path: str, service: str
    ) -> UpstreamRequest:
        return UpstreamRequest(
            operation=operation,
            method="GET",
            route=route,
            path=path,
            headers={
                **bars_messages.build_headers(self._sender),
                "Accept": f"application/fhir+json; version={BARS_VERSION}",
                "Content-Type": "application/fhir+json",
                "NHSD-Target-Identifier": bars_messages.encode_target(service),
                "X-Request-Id": str(uuid4()),
                "X-Correlation-Id": str(uuid4()),
            },
            accepts=_ACCEPTS,
            # A message may be repeated: the practice recognises it by its id.
            repeatable=True,
        )
