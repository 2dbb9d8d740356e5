"""The rows of the NHS module. Nothing is read or changed but by the account it belongs to."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import structs
from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Page, Transaction, uuid7
from govid.nhs.decision import AppointmentStatus, Decision
from govid.nhs.models import Account, Appointment, Patient
from govid.nhs.schemas import AppointmentView, FilePatient, PatientView, RequestAppointment

_PATIENT = (
    Patient.id,
    Patient.patient_id,
    Patient.name,
    Patient.nhs_number,
    Patient.medical_history,
)
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
REDACTED = "erased"
"""Stands where a closed account's number stood."""


class Accounts:
    """What the NHS remembers of accounts. It learns of them when they first book."""

    async def lock(self, tx: Transaction, account_id: UUID) -> bool:
        """Tell whether the account is blocked, and let nobody block it before *tx* ends.

        A plain read would let a block and a booking pass each other unseen, and an appointment
        would outlive the person.
        """
        statement = insert(Account).values(account_id=account_id)
        statement = statement.on_conflict_do_update(
            index_elements=[Account.account_id],
            set_={"account_id": statement.excluded.account_id},
        )
        found = await tx.execute(statement.returning(Account.blocked_at))
        return found.scalar_one() is not None

    async def block(self, tx: Transaction, account_id: UUID) -> None:
        """Remember that the account is blocked, known or not."""
        statement = insert(Account).values(account_id=account_id, blocked_at=tx.now)
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Account.account_id],
                set_={"blocked_at": statement.excluded.blocked_at},
            )
        )

    async def restore(self, tx: Transaction, account_id: UUID) -> None:
        """Remember that the account is not blocked."""
        await tx.execute(
            update(Account).where(Account.account_id == account_id).values(blocked_at=None)
        )


class Patients:
    """Patient records."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read on *reads*, an engine whose statements commit by themselves."""
        self._reads = reads

    async def page_of(
        self, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Page[PatientView]:
        """Return *limit* of the account's records, in order of id, from behind *after*."""
        statement = select(*_PATIENT).where(Patient.account_id == account_id)
        if after is not None:
            statement = statement.where(Patient.id > after)
        async with self._reads.connect() as connection:
            rows = await connection.execute(statement.order_by(Patient.id).limit(limit + 1))
        return Page.of([PatientView(**row._asdict()) for row in rows], limit)

    async def add(
        self, tx: Transaction, account_id: UUID, record: FilePatient, nhs_number: str
    ) -> PatientView:
        """Store what a citizen filed, with its NHS number in canonical form."""
        statement = insert(Patient).values(
            id=uuid7(),
            account_id=account_id,
            name=record.name,
            nhs_number=nhs_number,
            medical_history=record.medical_history,
            source="citizen",
            created_at=tx.now,
            updated_at=tx.now,
        )
        row = (await tx.execute(statement.returning(*_PATIENT))).one()
        return PatientView(**row._asdict())

    async def put_registered(
        self, tx: Transaction, account_id: UUID, *, nhs_number: str, name: str
    ) -> None:
        """Store what the registry knows of the account's holder, in place of what it knew."""
        statement = insert(Patient).values(
            id=uuid7(),
            account_id=account_id,
            name=name,
            nhs_number=nhs_number,
            source="registry",
            created_at=tx.now,
            updated_at=tx.now,
        )
        new = statement.excluded
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Patient.account_id],
                index_where=Patient.source == "registry",
                set_={
                    "name": new.name,
                    "nhs_number": new.nhs_number,
                    "updated_at": new.updated_at,
                },
            )
        )

    async def erase(self, tx: Transaction, account_id: UUID) -> None:
        """Delete every record of the account."""
        await tx.execute(delete(Patient).where(Patient.account_id == account_id))


class Appointments:
    """Appointments."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read on *reads*, an engine whose statements commit by themselves."""
        self._reads = reads

    async def find(self, account_id: UUID, appointment_id: UUID) -> AppointmentView | None:
        """Return the account's own appointment; another's is as if there were none."""
        statement = select(*_APPOINTMENT).where(
            Appointment.id == appointment_id, Appointment.account_id == account_id
        )
        async with self._reads.connect() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else AppointmentView(**row._asdict())

    async def add(
        self, tx: Transaction, account_id: UUID, wish: RequestAppointment
    ) -> AppointmentView:
        """Store a wish, not yet decided."""
        statement = insert(Appointment).values(
            id=uuid7(),
            account_id=account_id,
            patient_identifier=wish.patient_identifier,
            requested_datetime=wish.requested_at,
            doctor_specialty=wish.doctor_specialty,
            reason=wish.reason,
            status=AppointmentStatus.REQUESTED,
            created_at=tx.now,
            updated_at=tx.now,
        )
        row = (await tx.execute(statement.returning(*_APPOINTMENT))).one()
        return AppointmentView(**row._asdict())

    async def decide(self, tx: Transaction, appointment_id: UUID, decision: Decision) -> bool:
        """Settle the appointment; return whether it was still open for a decision."""
        statement = (
            update(Appointment)
            .where(
                Appointment.id == appointment_id,
                Appointment.status == AppointmentStatus.REQUESTED,
            )
            .values(**structs.asdict(decision), updated_at=tx.now)
        )
        return (await tx.execute(statement)).rowcount == 1

    async def cancel_future(
        self, tx: Transaction, account_id: UUID, *, reason: str
    ) -> Sequence[UUID]:
        """Cancel what the account still has before it; return the appointments' ids.

        A wish that is not decided is before it whatever time was asked for: the decision may be
        for a later one.
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
            )
            .returning(Appointment.id)
        )
        return (await tx.execute(statement)).scalars().all()

    async def redact(self, tx: Transaction, account_id: UUID) -> None:
        """Keep that there were appointments, and not what they were about."""
        await tx.execute(
            update(Appointment)
            .where(Appointment.account_id == account_id)
            .values(patient_identifier=REDACTED, reason=None, updated_at=tx.now)
        )
