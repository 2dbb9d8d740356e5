"""Requests, books, lists, moves and cancels appointments of an account holder.

Nothing here asks a practice for an appointment. The request and the hold on its slots commit
together with an event. The booking handler then asks the practice, repeatedly if needed, for the
same appointment. A booking may carry an idempotency key; a change needs an `If-Match` precondition
(RFC 9110).
"""

import re
from hashlib import sha256
from uuid import UUID

import msgspec

from govid.bus import (
    BlockedAccounts,
    InvalidRequest,
    OperationContext,
    Page,
    Principal,
    Transaction,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.events import AppointmentDecided, AppointmentRequested, IdentifierType
from govid.bus.shared.assurance import AccountIsBlocked
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.eligibility import AccountQuotas, BookingEligibility
from govid.nhs.errors import (
    AppointmentHasChanged,
    AppointmentHasNoSlot,
    AppointmentIsOver,
    AppointmentIsUndecided,
    AppointmentNotFound,
    BookingDisabled,
    IdempotencyKeyReused,
    IfMatchRequired,
    SlotTaken,
)
from govid.nhs.practice_booking import SlotAvailability
from govid.nhs.repository import (
    AppointmentRepository,
    IdempotencyKeys,
    IdempotentRequest,
    SlotHoldRepository,
)
from govid.nhs.schemas import (
    AppointmentView,
    BookSlots,
    MoveAppointment,
    RequestAppointment,
    Versioned,
)
from govid.nhs.slots import LIVE_STATUSES, AppointmentStatus

_PROXY_TAG = re.compile(
    r'(?:W/)?"(?P<version>[0-9]+)(?:[-;](?:gzip|br|deflate|zstd|df))?"', re.ASCII
)


class Precondition(msgspec.Struct, frozen=True):
    """Entity tags of an `If-Match` header; `*` matches every version."""

    etags: frozenset[str]

    @classmethod
    def from_header(cls, header: str | None) -> "Precondition":
        """Parse the `If-Match` header.

        A proxy that compresses a response changes its tag: nginx makes it weak (`W/"2"`), Apache
        appends the coding (`"2-gzip"`). Such a tag matches the version it was made from, because a
        change refers to the version and not to the coding.

        Raises:
            IfMatchRequired: the header is missing.
        """
        if header is None or not header.strip():
            raise IfMatchRequired
        return cls(frozenset(map(_strip_proxy_suffix, header.split(","))))

    def require_version(self, version: int) -> None:
        """Require that the client has read *version*.

        Raises:
            AppointmentHasChanged: the client has read another version.
        """
        if self.etags.isdisjoint({"*", format_etag(version)}):
            raise AppointmentHasChanged


def format_etag(version: int) -> str:
    """Return the `ETag` of *version*."""
    return f'"{version}"'


def _strip_proxy_suffix(tag: str) -> str:
    """Return *tag* as govid sent it, before a proxy compressed the response."""
    found = _PROXY_TAG.fullmatch(tag.strip())
    return f'"{found["version"]}"' if found else tag.strip()


class AppointmentRequests:
    """Stores appointment requests without a chosen slot; the booking handler decides them later."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: BlockedAccounts,
        appointments: AppointmentRepository,
        eligibility: BookingEligibility,
        quotas: AccountQuotas,
        *,
        accepts_requests: bool,
    ) -> None:
        """Accept requests only with *accepts_requests*: if a component exists that decides them.

        *eligibility* tells for which NHS number an account may book.
        """
        self._uow = uow
        self._accounts = accounts
        self._appointments = appointments
        self._accepts_requests = accepts_requests
        self._eligibility = eligibility
        self._quotas = quotas

    @rerun_on_conflict
    async def submit(
        self, request: RequestAppointment, principal: Principal, context: OperationContext
    ) -> Versioned:
        """Store *request* and emit the event on which the booking handler decides it.

        Raises:
            AccountIsBlocked: the account was blocked while this request was being processed.
            BookingDisabled: no component could decide the request.
            StepUpRequired: the identity assurance of the principal is too low.
            NhsNumberNotYours: the NHS number is not the principal's own.
            QuotaReached, RateExceeded: the account has reached a quota or a rate limit.
        """
        if not self._accepts_requests:
            raise BookingDisabled
        await self._eligibility.require_own_number(principal, request.patient_identifier)
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock_and_check(tx, principal.account_id):
                raise AccountIsBlocked
            await self._quotas.check_live_appointments(
                tx, principal.account_id, request.doctor_specialty
            )
            await self._quotas.count_change(tx, principal.account_id)
            added = await self._appointments.insert_request(tx, principal.account_id, request)
            _emit_requested(tx, added.view, context)
        return added

    async def fetch_own(self, appointment_id: UUID, principal: Principal) -> Versioned:
        """Return the principal's own appointment.

        Raises:
            AppointmentNotFound: it does not exist or belongs to another account.
        """
        appointment = await self._appointments.find(principal.account_id, appointment_id)
        if appointment is None:
            raise AppointmentNotFound
        return appointment


CITIZEN_CANCELLED_REASON = "cancelled_by_citizen"
"""Published reason of a cancellation."""


class AppointmentBookings:
    """Books, lists, moves and cancels appointments in slots."""

    def __init__(
        self,
        uow: UnitOfWork,
        availability: SlotAvailability,
        accounts: BlockedAccounts,
        appointments: AppointmentRepository,
        holds: SlotHoldRepository,
        idempotency_keys: IdempotencyKeys,
        eligibility: BookingEligibility,
        quotas: AccountQuotas,
        *,
        accept_prototype_nhs: bool,
    ) -> None:
        """Book slots that *availability* offers.

        *eligibility* tells for which NHS number an account may book. *accept_prototype_nhs* accepts
        the prototype's form of an NHS number too.
        """
        self._uow = uow
        self._availability = availability
        self._accounts = accounts
        self._appointments = appointments
        self._holds = holds
        self._idempotency_keys = idempotency_keys
        self._eligibility = eligibility
        self._quotas = quotas
        self._accept_prototype_nhs = accept_prototype_nhs

    async def book(
        self, request: BookSlots, key: str | None, principal: Principal, context: OperationContext
    ) -> Versioned:
        """Hold the slots and emit the event on which the practice is asked.

        *key* is the idempotency key: a repeated request with it gets the stored response.

        Raises:
            GovidError: the slots are not available, the key belongs to a different request, or the
                principal may not book this.
        """
        idempotent = None
        if key is not None:
            digest = sha256(msgspec.json.encode(request)).digest()
            idempotent = IdempotentRequest(account_id=principal.account_id, key=key, digest=digest)
        if stored := await self._find_stored_response(idempotent):
            return stored
        try:
            return await self._book(request, idempotent, principal, context)
        except SlotTaken:
            # The first attempt of this request may hold it, if its response was lost.
            if stored := await self._find_stored_response(idempotent):
                return stored
            raise

    async def _book(
        self,
        request: BookSlots,
        idempotent: IdempotentRequest | None,
        principal: Principal,
        context: OperationContext,
    ) -> Versioned:
        specialty, service = self._availability.find_practice(request.specialty)
        patient = self._normalise_nhs_number(request.patient_identifier)
        await self._eligibility.require_own_number(principal, patient)
        await self._quotas.count_search(principal.account_id, context)
        slots = await self._availability.resolve_chosen_slots(service, request.date, request.slots)
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock_and_check(tx, principal.account_id):
                raise AccountIsBlocked
            if stored := await self._find_stored_response(idempotent, tx):
                return stored
            await self._quotas.check_live_appointments(tx, principal.account_id, specialty)
            await self._quotas.count_change(tx, principal.account_id)
            booked = await self._appointments.insert_booking(
                tx,
                principal.account_id,
                service=service,
                specialty=specialty,
                patient=patient,
                reason=request.reason,
                start=slots[0].start,
            )
            await self._holds.hold_slots(tx, principal.account_id, booked.view.id, slots)
            if idempotent is not None:
                await self._idempotency_keys.store_response(
                    tx, idempotent, msgspec.json.encode(booked.view).decode()
                )
            _emit_requested(tx, booked.view, context)
        return booked

    async def list_own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[AppointmentView]:
        """Return one page of the principal's own appointments."""
        return await self._appointments.fetch_page(principal.account_id, limit=limit, after=after)

    async def move(
        self,
        appointment_id: UUID,
        request: MoveAppointment,
        precondition: Precondition,
        principal: Principal,
        context: OperationContext,
    ) -> Versioned:
        """Hold the new slots as well and emit the event on which the practice is asked.

        The current slots stay held until the practice has agreed.

        Raises:
            GovidError: the appointment does not exist, has changed, is over or undecided, the
                principal may no longer book, or the slots are not free.
        """
        found = await self._appointments.find(principal.account_id, appointment_id)
        if found is None:
            raise AppointmentNotFound
        precondition.require_version(found.version)
        if found.service is None:
            raise AppointmentHasNoSlot
        await self._eligibility.require_own_number(principal, found.view.patient_identifier)
        await self._quotas.count_search(principal.account_id, context)
        slots = await self._availability.resolve_chosen_slots(
            found.service, request.date, request.slots
        )
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock_and_check(tx, principal.account_id):
                raise AccountIsBlocked
            current = await self._lock_current(tx, appointment_id, precondition, principal)
            if current.status is AppointmentStatus.REQUESTED:
                raise AppointmentIsUndecided
            await self._quotas.count_change(tx, principal.account_id)
            await self._holds.hold_slots(tx, principal.account_id, appointment_id, slots)
            moved = await self._appointments.request_move(tx, appointment_id, slots[0].start)
            _emit_requested(tx, moved.view, context)
        return moved

    @rerun_on_conflict
    async def cancel(
        self,
        appointment_id: UUID,
        precondition: Precondition,
        principal: Principal,
        context: OperationContext,
    ) -> Versioned:
        """Cancel the appointment. Its slots are released after the practice has cancelled it.

        Raises:
            GovidError: the appointment does not exist, has changed, or is over.
        """
        async with self._uow.begin(context) as tx:
            await self._lock_current(tx, appointment_id, precondition, principal)
            await self._quotas.count_change(tx, principal.account_id)
            cancelled = await self._appointments.cancel(
                tx, appointment_id, reason=CITIZEN_CANCELLED_REASON
            )
            tx.emit(
                AppointmentDecided(
                    appointment_id=appointment_id,
                    user_id=principal.account_id,
                    status=AppointmentStatus.CANCELLED,
                    rejection_reason=CITIZEN_CANCELLED_REASON,
                    timestamp=tx.now,
                )
            )
        return cancelled

    async def _lock_current(
        self,
        tx: Transaction,
        appointment_id: UUID,
        precondition: Precondition,
        principal: Principal,
    ) -> AppointmentView:
        """Lock and return the appointment if it has the expected version and is still ahead."""
        found = await self._appointments.lock(tx, principal.account_id, appointment_id)
        if found is None:
            raise AppointmentNotFound
        precondition.require_version(found.version)
        view = found.view
        has_passed = view.confirmed_datetime is not None and view.confirmed_datetime <= tx.now
        if view.status not in LIVE_STATUSES or has_passed:
            raise AppointmentIsOver
        return view

    async def _find_stored_response(
        self, idempotent: IdempotentRequest | None, tx: Transaction | None = None
    ) -> Versioned | None:
        found = (
            None
            if idempotent is None
            else await self._idempotency_keys.fetch_response(idempotent, tx)
        )
        if idempotent is None or found is None:
            return None
        digest, answer = found
        if digest != idempotent.digest:
            raise IdempotencyKeyReused
        return Versioned(view=msgspec.json.decode(answer, type=AppointmentView))

    def _normalise_nhs_number(self, text: str) -> str:
        try:
            return normalise_identifier(
                IdentifierType.NHS, text, accept_prototype_nhs=self._accept_prototype_nhs
            )
        except ValueError as error:
            raise InvalidRequest.for_field(
                "patient_identifier", str(error), "nhs_number_format"
            ) from error


def _emit_requested(
    tx: Transaction, appointment: AppointmentView, context: OperationContext
) -> None:
    tx.emit(
        AppointmentRequested(
            appointment_id=appointment.appointment_id,
            user_id=appointment.user_id,
            patient_identifier=appointment.patient_identifier,
            requested_datetime=appointment.requested_datetime,
            doctor_specialty=appointment.doctor_specialty,
            reason=appointment.reason,
            timestamp=tx.now,
            correlation_id=context.correlation_id,
        )
    )
