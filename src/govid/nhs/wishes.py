"""Assigns a slot to an appointment request that names only a time.

It is the first free slot of that day from the requested time on.
"""

from collections.abc import Sequence

from govid.bus import InvalidRequest, Transaction
from govid.bus.contracts import AppointmentRequested, AppointmentSlotHeld
from govid.nhs.decision import AppointmentDecision, AppointmentStatus
from govid.nhs.errors import AppointmentsOverlap, SlotTaken
from govid.nhs.holders import BookingEligibility
from govid.nhs.openings import SlotAvailability
from govid.nhs.repository import Accounts, AppointmentRepository, SlotHoldRepository
from govid.nhs.slots import FreeSlot

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
        accounts: Accounts,
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
            return _rejection(NOT_OWN_NUMBER_REASON)
        try:
            _, service = self._availability.find_practice(request.doctor_specialty)
        except InvalidRequest:
            return _rejection(UNKNOWN_SPECIALTY_REASON)
        if self._availability.has_passed(request.requested_datetime):
            return _rejection(TIME_PASSED_REASON)
        return await self._availability.list_free_slots_from(
            service, request.requested_datetime
        ) or _rejection(NO_FREE_SLOT_REASON)

    async def hold_first(
        self, tx: Transaction, request: AppointmentRequested, slots: Sequence[FreeSlot]
    ) -> AppointmentDecision | None:
        """Hold the first available of *slots* and emit the event on which the practice is asked.

        Returns a rejection if other appointments hold all of them. A request that was cancelled
        meanwhile holds nothing.
        """
        await self._accounts.lock(tx, request.user_id)
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
        return _rejection(NO_FREE_SLOT_REASON)

    async def _try_hold(
        self, tx: Transaction, request: AppointmentRequested, slot: FreeSlot
    ) -> bool:
        try:
            await self._holds.hold_slots(tx, request.user_id, request.appointment_id, [slot])
        except (SlotTaken, AppointmentsOverlap):
            return False
        return True


def _rejection(reason: str) -> AppointmentDecision:
    return AppointmentDecision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
