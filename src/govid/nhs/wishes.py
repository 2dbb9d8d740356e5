"""A time for whoever asks for one without choosing a slot: the first that is free that day."""

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
    """Turns a wish into a hold on a slot, which the practice is then asked for like any other.

    In two deliveries: to find a time is to ask the practice, and to hold it is to write.
    """

    def __init__(
        self,
        openings: Openings,
        holders: Holders,
        accounts: Accounts,
        appointments: Appointments,
        holds: Holds,
    ) -> None:
        """Look for times in *openings* for whom *holders* know, and hold them in *holds*."""
        self._openings = openings
        self._holders = holders
        self._accounts = accounts
        self._appointments = appointments
        self._holds = holds

    async def find(self, wish: AppointmentRequested) -> Sequence[FreeSlot] | Decision:
        """Return what could be held for *wish*, the earliest first, or why there is nothing.

        Raises:
            Outage: the practice cannot be asked; nothing is decided.
        """
        # A practice is told what stands here as a fact: the desk's own check is not enough for a
        # wish that was taken before there was one.
        if not await self._holders.is_own(wish.user_id, wish.patient_identifier):
            return _rejected(NOT_THEIRS)
        try:
            _, service = self._openings.practice(wish.doctor_specialty)
        except Invalid:
            return _rejected(NO_SPECIALTY)
        if self._openings.has_passed(wish.requested_datetime):
            return _rejected(PASSED)
        return await self._openings.since(service, wish.requested_datetime) or _rejected(NO_TIME)

    async def take(
        self, tx: Transaction, wish: AppointmentRequested, slots: Sequence[FreeSlot]
    ) -> Decision | None:
        """Hold the first of *slots* that is to be had, and have the practice asked for it.

        Returns the rejection, where all are held by others. A wish that was cancelled meanwhile
        holds nothing.
        """
        await self._accounts.lock(tx, wish.user_id)
        found = await self._appointments.lock(tx, wish.user_id, wish.appointment_id)
        if found is None or found.view.status is not AppointmentStatus.REQUESTED:
            return None
        for slot in slots:
            if await self._is_held(tx, wish, slot):
                await self._appointments.place(tx, wish.appointment_id, slot.service)
                tx.emit(
                    AppointmentSlotHeld(
                        appointment_id=wish.appointment_id,
                        user_id=wish.user_id,
                        timestamp=tx.now,
                    )
                )
                return None
        return _rejected(NO_TIME)

    async def _is_held(self, tx: Transaction, wish: AppointmentRequested, slot: FreeSlot) -> bool:
        try:
            await self._holds.take(tx, wish.user_id, wish.appointment_id, [slot])
        except (SlotTaken, AppointmentsOverlap):
            return False
        return True


def _rejected(reason: str) -> Decision:
    return Decision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
