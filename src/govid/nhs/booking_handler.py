"""Handles appointment events: assigns slots, books and cancels at the practice, decides.

One subscriber does all of it. It receives the events of an account in order, so an appointment
cannot be cancelled at a practice before it was booked there. A request that names only a time gets
the first free slot of that day from this time on.
"""

from collections.abc import Sequence

import msgspec

from govid.bus import BlockedAccounts, Delivery, InvalidRequest, Transaction
from govid.bus.events import AppointmentDecided, AppointmentRequested, AppointmentSlotHeld
from govid.nhs.clients.interfaces import AppointmentProvider
from govid.nhs.eligibility import BookingEligibility
from govid.nhs.errors import AppointmentsOverlap, SlotTaken
from govid.nhs.practice_booking import PracticeBookings, SlotAvailability
from govid.nhs.repository import AppointmentRepository, SlotHoldRepository
from govid.nhs.slots import AppointmentDecision, AppointmentStatus, FreeSlot

TIME_PASSED_REASON = "The requested time has passed"
UNKNOWN_SPECIALTY_REASON = "No practice has this specialty"
NOT_OWN_NUMBER_REASON = "The number is not that of the NHS's own record of the citizen"
NO_FREE_SLOT_REASON = "No time is free on that day from the requested one on"


class SlotAssignment:
    """Holds a slot for a request without one; the practice is then asked as for any other hold.

    This takes two steps: candidates are fetched from the practice outside the transaction, and one
    is held inside it. A second event makes the handler ask the practice.
    """

    def __init__(
        self,
        availability: SlotAvailability,
        eligibility: BookingEligibility,
        accounts: BlockedAccounts,
        appointments: AppointmentRepository,
        holds: SlotHoldRepository,
    ) -> None:
        """Find slots in *availability* if *eligibility* accepts the number; hold one in *holds*."""
        self._availability = availability
        self._eligibility = eligibility
        self._accounts = accounts
        self._appointments = appointments
        self._holds = holds

    async def find_candidates(
        self, request: AppointmentRequested
    ) -> Sequence[FreeSlot] | AppointmentDecision:
        """Return the slots that could be held for *request*, the earliest first, or a rejection.

        Raises:
            Outage: the practice cannot be reached; nothing is decided.
        """
        # A practice receives the number as a fact. The check of the use case is not enough for a
        # request that was stored before that check existed.
        if not await self._eligibility.is_own_number(request.user_id, request.patient_identifier):
            return _reject(NOT_OWN_NUMBER_REASON)
        try:
            _, service = self._availability.find_practice(request.doctor_specialty)
        except InvalidRequest:
            return _reject(UNKNOWN_SPECIALTY_REASON)
        if self._availability.has_passed(request.requested_datetime):
            return _reject(TIME_PASSED_REASON)
        return await self._availability.list_free_slots_from(
            service, request.requested_datetime
        ) or _reject(NO_FREE_SLOT_REASON)

    async def hold_first(
        self, tx: Transaction, request: AppointmentRequested, slots: Sequence[FreeSlot]
    ) -> AppointmentDecision | None:
        """Hold the first available of *slots* and emit the event on which the practice is asked.

        Returns a rejection if other appointments hold all of them. A request that was cancelled
        meanwhile holds nothing.
        """
        await self._accounts.lock_and_check(tx, request.user_id)
        found = await self._appointments.lock(tx, request.user_id, request.appointment_id)
        if found is None or found.view.status is not AppointmentStatus.REQUESTED:
            return None
        for slot in slots:
            if await self._try_hold(tx, request, slot):
                await self._appointments.set_practice(tx, request.appointment_id, slot.service)
                tx.emit(
                    AppointmentSlotHeld(
                        appointment_id=request.appointment_id,
                        user_id=request.user_id,
                        timestamp=tx.now,
                    )
                )
                return None
        return _reject(NO_FREE_SLOT_REASON)

    async def _try_hold(
        self, tx: Transaction, request: AppointmentRequested, slot: FreeSlot
    ) -> bool:
        try:
            await self._holds.hold_slots(tx, request.user_id, request.appointment_id, [slot])
        except (SlotTaken, AppointmentsOverlap):
            return False
        return True


def _reject(reason: str) -> AppointmentDecision:
    return AppointmentDecision(status=AppointmentStatus.REJECTED, rejection_reason=reason)


AppointmentEvent = AppointmentRequested | AppointmentSlotHeld | AppointmentDecided


class BookingResult(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of `prepare`; `decision` is None if there is nothing to decide, or not yet."""

    decision: AppointmentDecision | None = None
    candidates: Sequence[FreeSlot] = ()
    """Free slots that could be held for a request without a slot."""
    has_slots: bool = False


class BookingHandler:
    """Handler that asks the practice or the provider and stores the decision."""

    def __init__(
        self,
        provider: AppointmentProvider | None,
        slot_assignment: SlotAssignment,
        practice_bookings: PracticeBookings,
        appointments: AppointmentRepository,
        holds: SlotHoldRepository,
    ) -> None:
        """Ask practices through *practice_bookings* for slots that are held.

        A request without a slot is decided by *provider*; without a provider, *slot_assignment*
        finds a slot for it.
        """
        self._provider = provider
        self._slot_assignment = slot_assignment
        self._practice_bookings = practice_bookings
        self._appointments = appointments
        self._holds = holds

    async def prepare(self, delivery: Delivery[AppointmentEvent]) -> BookingResult:
        """Ask the practice, outside any transaction. After a crash the question is repeated."""
        event = delivery.event
        hold = await self._holds.find_for_appointment(event.appointment_id)
        if isinstance(event, AppointmentDecided):
            if hold is not None:
                await self._practice_bookings.cancel(hold)
            return BookingResult(has_slots=hold is not None)
        if hold is None:
            return await self._decide_without_slot(event)
        if hold.status is not AppointmentStatus.REQUESTED or not hold.requested_slots:
            return BookingResult(has_slots=True)
        return BookingResult(
            decision=await self._practice_bookings.book_or_move(hold), has_slots=True
        )

    async def apply(
        self, tx: Transaction, delivery: Delivery[AppointmentEvent], outcome: BookingResult
    ) -> None:
        """Store the decision, unless the appointment was cancelled while the practice was asked."""
        event = delivery.event
        if isinstance(event, AppointmentDecided):
            if outcome.has_slots:
                await self._holds.release(tx, event.appointment_id)
            return
        decision = outcome.decision
        if outcome.candidates and isinstance(event, AppointmentRequested):
            decision = await self._slot_assignment.hold_first(tx, event, outcome.candidates)
        if decision is None or not await self._appointments.record_decision(
            tx, event.appointment_id, decision
        ):
            return
        if outcome.has_slots:
            agreed = decision.rejection_reason is None
            await self._holds.apply_decision(tx, event.appointment_id, agreed=agreed)
        tx.emit(
            AppointmentDecided(
                appointment_id=event.appointment_id,
                user_id=event.user_id,
                status=decision.status,
                confirmed_datetime=decision.confirmed_datetime,
                confirmation_details=decision.confirmation_details,
                rejection_reason=decision.rejection_reason,
                timestamp=tx.now,
            )
        )

    async def _decide_without_slot(
        self, event: AppointmentRequested | AppointmentSlotHeld
    ) -> BookingResult:
        if isinstance(event, AppointmentSlotHeld):
            # No slot is held any more, so there is nothing to decide.
            return BookingResult()
        if self._provider is not None:
            return BookingResult(decision=await self._provider.book(event))
        found = await self._slot_assignment.find_candidates(event)
        return (
            BookingResult(decision=found)
            if isinstance(found, AppointmentDecision)
            else BookingResult(candidates=found)
        )
