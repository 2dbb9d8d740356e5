"""Cancels the appointments of a blocked account, erases a closed one, and streams the data export.

Undecided and future appointments of blocked and closed accounts are cancelled here, in the
database. Each cancellation emits `AppointmentDecided`. `BookingHandler` (`booking_handler.py`)
receives that event, cancels the appointment at the practice and releases its slots. If the practice
is unavailable, the delivery is retried, and the slots stay held until then. An appointment without
a practice is cancelled in the database only.

Data of closed accounts is erased. The stored records of an account are streamed for its data
export.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from govid.bus import BlockedAccounts, Database, Delivery, Transaction, stream_pages
from govid.bus.events import AccountBlocked, AccountClosed, AccountRestored, AppointmentDecided
from govid.nhs.models import Appointment, Patient
from govid.nhs.repository import AppointmentRepository, IdempotencyKeys, PatientRepository
from govid.nhs.slots import AppointmentStatus

AccountStatusEvent = AccountBlocked | AccountClosed | AccountRestored

ACCOUNT_BLOCKED_REASON = "account_blocked"
"""Published reason of a cancellation, also for a closed account. Permanent code."""


class AccountStatusHandler:
    """Handler of account status events: keeps blocked and closed accounts free of appointments.

    A restored account may book again. Cancelled appointments stay cancelled, because their slots
    may be taken. A closed account is never restored, so data that only its holder could read is
    erased.
    """

    def __init__(
        self,
        accounts: BlockedAccounts,
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
        """Store the account status, then cancel undecided and future appointments.

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


_PATIENT = tuple(column for column in Patient.__table__.columns if column.name != "account_id")
_PATIENT_BYTES = func.octet_length(Patient.name) + func.octet_length(
    func.coalesce(Patient.medical_history, "")
)
_APPOINTMENT = tuple(
    column for column in Appointment.__table__.columns if column.name != "account_id"
)
_APPOINTMENT_BYTES = func.octet_length(Appointment.doctor_specialty) + func.octet_length(
    func.coalesce(Appointment.reason, "")
)


class DataExportSource:
    """Source of one account's patient records and appointments for the data export."""

    def __init__(self, database: Database) -> None:
        """Read from *database*. It may be opened later."""
        self._reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")

    def sections(
        self,
    ) -> Mapping[str, Callable[[UUID], AsyncIterator[Sequence[Mapping[str, Any]]]]]:
        """Return one function per section of the export; it streams the rows in pages."""
        return {"patients": self._patients, "appointments": self._appointments}

    def _patients(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        rows = select(*_PATIENT).where(Patient.account_id == account_id)
        return stream_pages(self._reads, rows, _PATIENT_BYTES)

    def _appointments(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        rows = select(*_APPOINTMENT).where(Appointment.account_id == account_id)
        return stream_pages(self._reads, rows, _APPOINTMENT_BYTES)
