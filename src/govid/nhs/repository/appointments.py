"""Reads and writes appointments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Page, Transaction, build_page, limit_page, uuid7
from govid.nhs.models import Appointment
from govid.nhs.schemas import AppointmentView, RequestAppointment, Versioned
from govid.nhs.slots import AppointmentDecision, AppointmentStatus

_APPOINTMENT = (
    Appointment.id.label("appointment_id"),
    Appointment.account_id.label("user_id"),
    Appointment.patient_identifier,
    Appointment.requested_datetime,
    Appointment.doctor_specialty,
    Appointment.reason,
    Appointment.status,
    Appointment.confirmed_datetime,
    Appointment.confirmation_details,
    Appointment.created_at,
    Appointment.updated_at,
)
_VERSIONED = (*_APPOINTMENT, Appointment.version, Appointment.service)
_TEXT_BYTES = func.octet_length(Appointment.doctor_specialty) + func.octet_length(
    func.coalesce(Appointment.reason, "")
)
_CHANGED = {"version": Appointment.version + 1}
REDACTED_NUMBER = "erased"
"""Replaces the NHS number in appointments of a closed account."""


class AppointmentRepository:
    """Reads and writes appointments."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read through *reads*, an engine in autocommit mode."""
        self._reads = reads

    async def find(self, account_id: UUID, appointment_id: UUID) -> Versioned | None:
        """Return the account's own appointment; None if it belongs to another or does not exist."""
        async with self._reads.connect() as connection:
            found = await connection.execute(_own_appointment(account_id, appointment_id))
        row = found.one_or_none()
        return None if row is None else _to_versioned(row)

    async def lock(
        self, tx: Transaction, account_id: UUID, appointment_id: UUID
    ) -> Versioned | None:
        """Return the account's own appointment and lock its row until *tx* ends."""
        found = await tx.execute(_own_appointment(account_id, appointment_id).with_for_update())
        row = found.one_or_none()
        return None if row is None else _to_versioned(row)

    async def fetch_page(
        self, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Page[AppointmentView]:
        """Return up to *limit* of the account's appointments by id, after the id *after*."""
        statement = select(*_APPOINTMENT).where(Appointment.account_id == account_id)
        if after is not None:
            statement = statement.where(Appointment.id > after)
        async with self._reads.connect() as connection:
            rows = (await connection.execute(limit_page(statement, _TEXT_BYTES, limit))).all()
        return build_page(rows, _to_view, limit)

    async def insert_request(
        self, tx: Transaction, account_id: UUID, request: RequestAppointment
    ) -> Versioned:
        """Insert an undecided request without a slot."""
        return await self._insert(
            tx,
            account_id,
            patient_identifier=request.patient_identifier,
            requested_datetime=request.requested_at,
            doctor_specialty=request.doctor_specialty,
            reason=request.reason,
        )

    async def insert_booking(
        self,
        tx: Transaction,
        account_id: UUID,
        *,
        service: str,
        specialty: str,
        patient: str,
        reason: str | None,
        start: datetime,
    ) -> Versioned:
        """Insert an undecided request for slots of the practice *service*."""
        return await self._insert(
            tx,
            account_id,
            service=service,
            patient_identifier=patient,
            requested_datetime=start,
            doctor_specialty=specialty,
            reason=reason,
        )

    async def set_practice(self, tx: Transaction, appointment_id: UUID, service: str) -> None:
        """Store the practice of the slot that was assigned to a request without one."""
        await self._update(tx, appointment_id, service=service)

    async def request_move(
        self, tx: Transaction, appointment_id: UUID, start: datetime
    ) -> Versioned:
        """Request a move to *start*. The confirmed time is kept until the practice has decided."""
        return await self._update(
            tx, appointment_id, status=AppointmentStatus.REQUESTED, requested_datetime=start
        )

    async def cancel(self, tx: Transaction, appointment_id: UUID, *, reason: str) -> Versioned:
        """Cancel the appointment."""
        return await self._update(
            tx, appointment_id, status=AppointmentStatus.CANCELLED, cancellation_reason=reason
        )

    async def record_decision(
        self, tx: Transaction, appointment_id: UUID, decision: AppointmentDecision
    ) -> bool:
        """Store *decision*; return False if the appointment is no longer undecided.

        The refusal of a move is published but not stored: the appointment keeps its time.
        """
        is_rejected = decision.status is AppointmentStatus.REJECTED
        stored = structs.replace(
            decision, rejection_reason=decision.rejection_reason if is_rejected else None
        )
        statement = (
            update(Appointment)
            .where(
                Appointment.id == appointment_id,
                Appointment.status == AppointmentStatus.REQUESTED,
            )
            .values(**structs.asdict(stored), **_CHANGED, updated_at=tx.now)
        )
        return (await tx.execute(statement)).rowcount == 1

    async def cancel_future(
        self, tx: Transaction, account_id: UUID, *, reason: str
    ) -> Sequence[UUID]:
        """Cancel the future appointments of the account; return their ids.

        An undecided request counts as future whatever time it names, because the decision may
        confirm a later time.
        """
        statement = (
            update(Appointment)
            .where(
                Appointment.account_id == account_id,
                or_(
                    Appointment.status == AppointmentStatus.REQUESTED,
                    and_(
                        Appointment.status == AppointmentStatus.CONFIRMED,
                        Appointment.confirmed_datetime > tx.now,
                    ),
                ),
            )
            .values(
                status=AppointmentStatus.CANCELLED,
                cancellation_reason=reason,
                updated_at=tx.now,
                **_CHANGED,
            )
            .returning(Appointment.id)
        )
        return (await tx.execute(statement)).scalars().all()

    async def redact(self, tx: Transaction, account_id: UUID) -> None:
        """Erase NHS number and reason from the account's appointments, but keep the rows."""
        await tx.execute(
            update(Appointment)
            .where(Appointment.account_id == account_id)
            .values(patient_identifier=REDACTED_NUMBER, reason=None, updated_at=tx.now, **_CHANGED)
        )

    async def _insert(self, tx: Transaction, account_id: UUID, **columns: Any) -> Versioned:
        statement = insert(Appointment).values(
            id=uuid7(),
            account_id=account_id,
            status=AppointmentStatus.REQUESTED,
            created_at=tx.now,
            updated_at=tx.now,
            **columns,
        )
        return _to_versioned((await tx.execute(statement.returning(*_VERSIONED))).one())

    async def _update(self, tx: Transaction, appointment_id: UUID, **columns: Any) -> Versioned:
        statement = (
            update(Appointment)
            .where(Appointment.id == appointment_id)
            .values(updated_at=tx.now, **_CHANGED, **columns)
        )
        return _to_versioned((await tx.execute(statement.returning(*_VERSIONED))).one())


def _own_appointment(account_id: UUID, appointment_id: UUID) -> Any:
    return select(*_VERSIONED).where(
        Appointment.id == appointment_id, Appointment.account_id == account_id
    )


def _to_versioned(row: Row[Any]) -> Versioned:
    columns = row._asdict()
    version, service = columns.pop("version"), columns.pop("service")
    return Versioned(view=_to_view(columns), version=version, service=service)


def _to_view(columns: dict[str, Any]) -> AppointmentView:
    return AppointmentView(**{**columns, "status": AppointmentStatus(columns["status"])})
