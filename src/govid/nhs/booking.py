"""The decision about an appointment, and what a practice is told when one is cancelled.

One subscriber for both: it gets the events of an account in their order, so that nothing can be
cancelled at a practice before it was booked there.
"""

from collections.abc import Sequence

import msgspec

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AppointmentDecided, AppointmentRequested, AppointmentSlotHeld
from govid.nhs.decision import AppointmentStatus, Decision
from govid.nhs.practice_orders import PracticeOrders
from govid.nhs.registry.protocol import AppointmentProvider
from govid.nhs.repository import Appointments, Holds
from govid.nhs.slots import FreeSlot
from govid.nhs.wishes import Wishes

News = AppointmentRequested | AppointmentSlotHeld | AppointmentDecided


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out; `decision` is None where there is nothing to decide, or not yet."""

    decision: Decision | None = None
    offer: Sequence[FreeSlot] = ()
    """What a wish without a slot could hold."""
    has_slots: bool = False


class Booking:
    """Asks the provider, or the practice whose slots are held, and settles the appointment."""

    def __init__(
        self,
        provider: AppointmentProvider | None,
        wishes: Wishes,
        orders: PracticeOrders,
        appointments: Appointments,
        holds: Holds,
    ) -> None:
        """Ask practices by *orders* about slots that are held.

        About a wish without one *provider* decides; if there is none, *wishes* finds a slot.
        """
        self._provider = provider
        self._wishes = wishes
        self._orders = orders
        self._appointments = appointments
        self._holds = holds

    async def prepare(self, delivery: Delivery[News]) -> Answer:
        """Ask, with no transaction open. A crash from here on is made good by asking again."""
        event = delivery.event
        hold = await self._holds.of(event.appointment_id)
        if isinstance(event, AppointmentDecided):
            if hold is not None:
                await self._orders.give_up(hold)
            return Answer(has_slots=hold is not None)
        if hold is None:
            return await self._wished(event)
        if hold.status is not AppointmentStatus.REQUESTED or not hold.wanted:
            return Answer(has_slots=True)
        return Answer(decision=await self._orders.place(hold), has_slots=True)

    async def apply(self, tx: Transaction, delivery: Delivery[News], outcome: Answer) -> None:
        """Settle the appointment, unless it was cancelled while somebody was asked."""
        event = delivery.event
        if isinstance(event, AppointmentDecided):
            if outcome.has_slots:
                await self._holds.release(tx, event.appointment_id)
            return
        decision = outcome.decision
        if outcome.offer and isinstance(event, AppointmentRequested):
            decision = await self._wishes.take(tx, event, outcome.offer)
        if decision is None or not await self._appointments.decide(
            tx, event.appointment_id, decision
        ):
            return
        if outcome.has_slots:
            agreed = decision.rejection_reason is None
            await self._holds.settle(tx, event.appointment_id, agreed=agreed)
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

    async def _wished(self, event: AppointmentRequested | AppointmentSlotHeld) -> Answer:
        if isinstance(event, AppointmentSlotHeld):
            # Nothing is held any more: the appointment is not ours to decide.
            return Answer()
        if self._provider is not None:
            return Answer(decision=await self._provider.book(event))
        found = await self._wishes.find(event)
        return Answer(decision=found) if isinstance(found, Decision) else Answer(offer=found)
