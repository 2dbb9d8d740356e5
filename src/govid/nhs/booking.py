"""The decision about an appointment."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AppointmentDecided, AppointmentRequested
from govid.nhs.decision import Decision
from govid.nhs.registry.protocol import AppointmentProvider
from govid.nhs.repository import Appointments


class Booking:
    """Asks the provider, and settles the appointment as it says."""

    def __init__(self, provider: AppointmentProvider, appointments: Appointments) -> None:
        """Ask *provider* about *appointments*."""
        self._provider = provider
        self._appointments = appointments

    async def prepare(self, delivery: Delivery[AppointmentRequested]) -> Decision:
        """Ask the provider."""
        return await self._provider.book(delivery.event)

    async def apply(
        self, tx: Transaction, delivery: Delivery[AppointmentRequested], outcome: Decision
    ) -> None:
        """Settle the appointment, unless it was cancelled while the provider was asked."""
        wish = delivery.event
        if not await self._appointments.decide(tx, wish.appointment_id, outcome):
            return
        tx.emit(
            AppointmentDecided(
                appointment_id=wish.appointment_id,
                user_id=wish.user_id,
                status=outcome.status,
                confirmed_datetime=outcome.confirmed_datetime,
                confirmation_details=outcome.confirmation_details,
                rejection_reason=outcome.rejection_reason,
                timestamp=tx.now,
            )
        )
