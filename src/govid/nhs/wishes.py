"""Assigns a slot to an appointment request that names only a time.

It is the first free slot of that day from the requested time on.
"""

from collections.abc import Sequence

from govid.bus import Invalid, Transaction
from govid.bus.contracts import AppointmentRequested, AppointmentSlotHeld
from govid.nhs.decision import AppointmentStatus, Decision
from govid.nhs.errors import AppointmentsOverlap, SlotTaken
from govid.nhs.holders import Holders
from govid.nhs.openings import Openings
from govid.nhs.repository import Accounts, Appointments, Holds
from govid.nhs.slots import FreeSlot

PASSED = "The requested time has passed"
NO_SPECIALTY = "No practice has this specialty"
NOT_THEIRS = "The number is not that of the NHS's own record of the citizen"
NO_TIME = "No time is free on that day from the requested one on"


class Wishes:
    """Holds a slot for a request without one; the practice is then asked as for any other hold.

    This takes two steps: candidates are fetched from the practice outside the transaction, and one
    is held inside it. A second event makes the handler ask the practice.
    """

    def __init__(
        self,
        availability: Openings,
        eligibility: Holders,
        accounts: Accounts,
        appointments: Appointments,
        holds: Holds,
    ) -> None:
        """Find slots in *availability* if *eligibility* accepts the number; hold one in *holds*."""
        self._availability = availability
        self._eligibility = eligibility
        self._accounts = accounts
        self._appointments = appointments
        self._holds = holds

    async def find(self, request: AppointmentRequested) -> Sequence[FreeSlot] | Decision:
        """Return the slots that could be held for *request*, the earliest first, or a rejection.

        Raises:
            Outage: the practice cannot be reached; nothing is decided.
        """
        # A practice receives the number as a fact. The check of the use case is not enough for a
        # request that was stored before that check existed.
        if not await self._eligibility.is_own(request.user_id, request.patient_identifier):
            return _rejection(NOT_THEIRS)
        try:
            _, service = self._availability.practice(request.doctor_specialty)
        except Invalid:
            return _rejection(NO_SPECIALTY)
        if self._availability.has_passed(request.requested_datetime):
            return _rejection(PASSED)
        return await self._availability.since(service, request.requested_datetime) or _rejection(
            NO_TIME
        )

    async def take(
        self, tx: Transaction, request: AppointmentRequested, slots: Sequence[FreeSlot]
    ) -> Decision | None:
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
                await self._appointments.place(tx, request.appointment_id, slot.service)
                tx.emit(
                    AppointmentSlotHeld(
                        appointment_id=request.appointment_id,
                        user_id=request.user_id,
                        timestamp=tx.now,
                    )
                )
                return None
        return _rejection(NO_TIME)

    async def _try_hold(
        self, tx: Transaction, request: AppointmentRequested, slot: FreeSlot
    ) -> bool:
        try:
            await self._holds.take(tx, request.user_id, request.appointment_id, [slot])
        except (SlotTaken, AppointmentsOverlap):
            return False
        return True


def _rejection(reason: str) -> Decision:
    return Decision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
