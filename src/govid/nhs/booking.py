"""Decides appointments, and books or cancels them at the practice.

One subscriber does both. It receives the events of an account in order, so an appointment cannot be
cancelled at a practice before it was booked there.
"""

from collections.abc import Sequence

import msgspec

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AppointmentDecided, AppointmentRequested, AppointmentSlotHeld
from govid.nhs.decision import AppointmentDecision, AppointmentStatus
from govid.nhs.practice_orders import PracticeBookings
from govid.nhs.registry.protocol import AppointmentProvider
from govid.nhs.repository import AppointmentRepository, SlotHoldRepository
from govid.nhs.slots import FreeSlot
from govid.nhs.wishes import SlotAssignment

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
