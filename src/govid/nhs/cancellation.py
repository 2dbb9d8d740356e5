"""What becomes of a person's appointments when their account is blocked."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountBlocked, AccountRestored, AppointmentDecided
from govid.nhs.decision import AppointmentStatus
from govid.nhs.repository import Accounts, Appointments

REASON = "account_blocked"
"""Why an appointment was cancelled, as its consumers read it."""


class Cancellation:
    """Keeps blocked accounts free of future appointments.

    A restored account may book again; what was cancelled stays cancelled, as its slot may be gone.
    """

    def __init__(self, accounts: Accounts, appointments: Appointments) -> None:
        """Mark *accounts*, and cancel their *appointments*."""
        self._accounts = accounts
        self._appointments = appointments

    async def prepare(self, delivery: Delivery[AccountBlocked | AccountRestored]) -> None:
        """Ask nobody."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountBlocked | AccountRestored],
        outcome: None,  # noqa: ARG002 - nobody was asked
    ) -> None:
        """Mark the account first: a booking under way has then committed, or will be refused."""
        account_id = delivery.event.account_id
        if isinstance(delivery.event, AccountRestored):
            await self._accounts.restore(tx, account_id)
            return
        await self._accounts.block(tx, account_id)
        for appointment_id in await self._appointments.cancel_future(tx, account_id, reason=REASON):
            tx.emit(
                AppointmentDecided(
                    appointment_id=appointment_id,
                    user_id=account_id,
                    status=AppointmentStatus.CANCELLED,
                    rejection_reason=REASON,
                    timestamp=tx.now,
                )
            )
