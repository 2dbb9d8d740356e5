"""Cancels appointments of blocked and closed accounts, and erases data of closed accounts."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountBlocked, AccountClosed, AccountRestored, AppointmentDecided
from govid.nhs.decision import AppointmentStatus
from govid.nhs.repository import Accounts, AppointmentRepository, IdempotencyKeys, PatientRepository

AccountEnded = AccountBlocked | AccountClosed
AccountStatusEvent = AccountEnded | AccountRestored

ACCOUNT_BLOCKED_REASON = "account_blocked"
"""Published reason of a cancellation."""


class AccountStatusHandler:
    """Handler of account status events: keeps blocked and closed accounts free of appointments.

    A restored account may book again. Cancelled appointments stay cancelled, because their slots
    may be taken. A closed account is never restored, so data that only its holder could read is
    erased.
    """

    def __init__(
        self,
        accounts: Accounts,
        patients: PatientRepository,
        appointments: AppointmentRepository,
        idempotency_keys: IdempotencyKeys,
    ) -> None:
        """Block or restore *accounts* and cancel *appointments*.

        For a closed account, rows of *patients* and *idempotency_keys* are deleted too.
        """
        self._accounts = accounts
        self._patients = patients
        self._appointments = appointments
        self._idempotency_keys = idempotency_keys

    async def prepare(self, delivery: Delivery[AccountStatusEvent]) -> None:
        """Do nothing: this handler needs no input from outside."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountStatusEvent],
        outcome: None,  # noqa: ARG002 - `prepare` returns nothing
    ) -> None:
        """Store the account status, then cancel future appointments.

        The status is stored first: a concurrent booking has then either committed or is refused.
        """
        account_id = delivery.event.account_id
        if isinstance(delivery.event, AccountRestored):
            await self._accounts.restore(tx, account_id)
            return
        await self._accounts.block(tx, account_id)
        for appointment_id in await self._appointments.cancel_future(
            tx, account_id, reason=ACCOUNT_BLOCKED_REASON
        ):
            tx.emit(
                AppointmentDecided(
                    appointment_id=appointment_id,
                    user_id=account_id,
                    status=AppointmentStatus.CANCELLED,
                    rejection_reason=ACCOUNT_BLOCKED_REASON,
                    timestamp=tx.now,
                )
            )
        if isinstance(delivery.event, AccountClosed):
            await self._patients.delete_for_account(tx, account_id)
            await self._appointments.redact(tx, account_id)
            await self._idempotency_keys.delete_for_account(tx, account_id)
