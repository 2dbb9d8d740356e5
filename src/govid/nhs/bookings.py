"""Slots of practices: a citizen books them, moves an appointment to others, or gives them up.

Nothing here asks a practice for an appointment. The wish and the hold on its slots commit with an
event; whoever handles it asks the practice, as often as it takes, for the same appointment.
"""

from hashlib import sha256
from uuid import UUID

import msgspec

from govid.bus import Cause, Invalid, Page, Principal, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import AppointmentDecided, AppointmentRequested, IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.nhs.decision import LIVE, AppointmentStatus
from govid.nhs.errors import (
    AccountIsBlocked,
    AppointmentHasNoSlot,
    AppointmentIsOver,
    AppointmentIsUndecided,
    AppointmentNotFound,
    KeyReused,
    SlotTaken,
)
from govid.nhs.holders import Holders
from govid.nhs.openings import Openings
from govid.nhs.preconditions import Precondition
from govid.nhs.quotas import AccountQuotas
from govid.nhs.repository import Accounts, Answers, Appointments, Holds, Retry
from govid.nhs.schemas import AppointmentView, BookSlots, MoveAppointment, Versioned

REASON = "cancelled_by_citizen"
"""Why an appointment was cancelled, as its consumers read it."""


class BookingDesk:
    """Takes and changes bookings of slots."""

    def __init__(
        self,
        uow: UnitOfWork,
        openings: Openings,
        accounts: Accounts,
        appointments: Appointments,
        holds: Holds,
        answers: Answers,
        holders: Holders,
        quotas: AccountQuotas,
        *,
        prototype_form: bool,
    ) -> None:
        """Book what *openings* has; take the prototype's form of a number with *prototype_form*.

        *holders* say who may book for whom.
        """
        self._uow = uow
        self._openings = openings
        self._accounts = accounts
        self._appointments = appointments
        self._holds = holds
        self._answers = answers
        self._holders = holders
        self._quotas = quotas
        self._prototype_form = prototype_form

    async def book(
        self, wish: BookSlots, key: str | None, principal: Principal, cause: Cause
    ) -> Versioned:
        """Hold the slots and let the practice be asked; the same *key* gets the same answer.

        Raises:
            GovidError: the slots are not to be had, the key was used for something else, or it is
                not for the principal to book this.
        """
        retry = None
        if key is not None:
            digest = sha256(msgspec.json.encode(wish)).digest()
            retry = Retry(account_id=principal.account_id, key=key, digest=digest)
        if answered := await self._answered(retry):
            return answered
        try:
            return await self._book(wish, retry, principal, cause)
        except SlotTaken:
            # Perhaps by this very request, whose first answer was lost on its way.
            if answered := await self._answered(retry):
                return answered
            raise

    async def _book(
        self, wish: BookSlots, retry: Retry | None, principal: Principal, cause: Cause
    ) -> Versioned:
        specialty, service = self._openings.practice(wish.specialty)
        patient = self._number(wish.patient_identifier)
        await self._holders.check(principal, patient)
        await self._quotas.count_search(principal.account_id, cause)
        slots = await self._openings.chosen(service, wish.date, wish.slots)
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, principal.account_id):
                raise AccountIsBlocked
            if answered := await self._answered(retry, tx):
                return answered
            await self._quotas.check_live_appointments(tx, principal.account_id, specialty)
            await self._quotas.count_change(tx, principal.account_id)
            booked = await self._appointments.add_booking(
                tx,
                principal.account_id,
                service=service,
                specialty=specialty,
                patient=patient,
                reason=wish.reason,
                start=slots[0].start,
            )
            await self._holds.take(tx, principal.account_id, booked.view.id, slots)
            if retry is not None:
                await self._answers.keep(tx, retry, msgspec.json.encode(booked.view).decode())
            _request(tx, booked.view, cause)
        return booked

    async def own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[AppointmentView]:
        """Return a page of the principal's own appointments."""
        return await self._appointments.page_of(principal.account_id, limit=limit, after=after)

    async def move(
        self,
        appointment_id: UUID,
        wish: MoveAppointment,
        known: Precondition,
        principal: Principal,
        cause: Cause,
    ) -> Versioned:
        """Hold other slots too and let the practice be asked; until then nothing is given up.

        Raises:
            GovidError: it is none, not what was read, over, undecided, not for the principal to
                move any more, or the slots are not free.
        """
        found = await self._appointments.find(principal.account_id, appointment_id)
        if found is None:
            raise AppointmentNotFound
        known.check(found.version)
        if found.service is None:
            raise AppointmentHasNoSlot
        await self._holders.check(principal, found.view.patient_identifier)
        await self._quotas.count_search(principal.account_id, cause)
        slots = await self._openings.chosen(found.service, wish.date, wish.slots)
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, principal.account_id):
                raise AccountIsBlocked
            current = await self._current(tx, appointment_id, known, principal)
            if current.status is AppointmentStatus.REQUESTED:
                raise AppointmentIsUndecided
            await self._quotas.count_change(tx, principal.account_id)
            await self._holds.take(tx, principal.account_id, appointment_id, slots)
            moved = await self._appointments.reopen(tx, appointment_id, slots[0].start)
            _request(tx, moved.view, cause)
        return moved

    @rerun_on_conflict
    async def cancel(
        self, appointment_id: UUID, known: Precondition, principal: Principal, cause: Cause
    ) -> Versioned:
        """Cancel the appointment. Its slots are free when the practice has been told.

        Raises:
            GovidError: it is none, not what was read, or over.
        """
        async with self._uow.begin(cause) as tx:
            await self._current(tx, appointment_id, known, principal)
            await self._quotas.count_change(tx, principal.account_id)
            cancelled = await self._appointments.cancel(tx, appointment_id, reason=REASON)
            tx.emit(
                AppointmentDecided(
                    appointment_id=appointment_id,
                    user_id=principal.account_id,
                    status=AppointmentStatus.CANCELLED,
                    rejection_reason=REASON,
                    timestamp=tx.now,
                )
            )
        return cancelled

    async def _current(
        self, tx: Transaction, appointment_id: UUID, known: Precondition, principal: Principal
    ) -> AppointmentView:
        """Return the appointment, locked, if it is what was read and still ahead."""
        found = await self._appointments.lock(tx, principal.account_id, appointment_id)
        if found is None:
            raise AppointmentNotFound
        known.check(found.version)
        view = found.view
        has_passed = view.confirmed_datetime is not None and view.confirmed_datetime <= tx.now
        if view.status not in LIVE or has_passed:
            raise AppointmentIsOver
        return view

    async def _answered(
        self, retry: Retry | None, tx: Transaction | None = None
    ) -> Versioned | None:
        found = None if retry is None else await self._answers.find(retry, tx)
        if retry is None or found is None:
            return None
        digest, answer = found
        if digest != retry.digest:
            raise KeyReused
        return Versioned(view=msgspec.json.decode(answer, type=AppointmentView))

    def _number(self, text: str) -> str:
        try:
            return normalise_identifier(
                IdentifierType.NHS, text, prototype_form=self._prototype_form
            )
        except ValueError as error:
            raise Invalid.at("patient_identifier", str(error), "nhs_number_format") from error


def _request(tx: Transaction, wanted: AppointmentView, cause: Cause) -> None:
    tx.emit(
        AppointmentRequested(
            appointment_id=wanted.appointment_id,
            user_id=wanted.user_id,
            patient_identifier=wanted.patient_identifier,
            requested_datetime=wanted.requested_datetime,
            doctor_specialty=wanted.doctor_specialty,
            reason=wanted.reason,
            timestamp=tx.now,
            correlation_id=cause.correlation_id,
        )
    )
