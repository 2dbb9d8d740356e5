"""What becomes of a person's appointments when their account is blocked or closed."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountBlocked, AccountClosed, AccountRestored, AppointmentDecided
from govid.nhs.decision import AppointmentStatus
from govid.nhs.repository import Accounts, Answers, Appointments, Patients

Ended = AccountBlocked | AccountClosed
Standing = Ended | AccountRestored

REASON = "account_blocked"
"""Why an appointment was cancelled, as its consumers read it."""


class Cancellation:
    """Keeps accounts that are blocked or closed free of future appointments.

    A restored account may book again; what was cancelled stays cancelled, as its slot may be gone.
    A closed one is never restored: what was held for its owner only is erased.
    """

    def __init__(
        self, accounts: Accounts, patients: Patients, appointments: Appointments, answers: Answers
    ) -> None:
        """Mark *accounts*, cancel *appointments*; of closed ones erase *patients* and *answers*."""
        self._accounts = accounts
        self._patients = patients
        self._appointments = appointments
        self._answers = answers

    async def prepare(self, delivery: Delivery[Standing]) -> None:
        """Ask nobody."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[Standing],
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
        if isinstance(delivery.event, AccountClosed):
            await self._patients.erase(tx, account_id)
            await self._appointments.redact(tx, account_id)
            await self._answers.erase(tx, account_id)
