"""Reads and writes the slots that appointments hold."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Transaction
from govid.bus.shared.privacy import RedactedStruct
from govid.nhs.errors import AppointmentsOverlap, SlotTaken
from govid.nhs.models import Appointment, HeldSlot
from govid.nhs.slots import LIVE_STATUSES, AppointmentStatus, FreeSlot


class SlotHold(RedactedStruct, frozen=True, kw_only=True):
    """An appointment in slots of a practice, with all that a message to the practice needs."""

    appointment_id: UUID
    service: str
    status: AppointmentStatus
    patient: str
    specialty: str
    reason: str | None
    created_at: datetime
    confirmed_datetime: datetime | None
    """Time already confirmed, if any; a request for another time is then a move."""
    confirmation_details: str | None
    requested_slots: Sequence[FreeSlot]


class SlotHoldRepository:
    """Held slots, from the request until the practice has been notified of the cancellation."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read through *reads*, an engine in autocommit mode."""
        self._reads = reads

    async def find_for_appointment(self, appointment_id: UUID) -> SlotHold | None:
        """Return the appointment with its requested slots; None if it never had a practice."""
        slots = HeldSlot.__table__
        statement = (
            select(Appointment.__table__, slots.c.slot_id, slots.c.starts_at, slots.c.ends_at)
            .outerjoin(
                HeldSlot,
                (HeldSlot.appointment_id == Appointment.id) & HeldSlot.is_agreed.is_(False),
            )
            .where(Appointment.id == appointment_id, Appointment.service.is_not(None))
            .order_by(HeldSlot.starts_at)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return None
        first = rows[0]
        return SlotHold(
            appointment_id=appointment_id,
            service=first.service,
            status=AppointmentStatus(first.status),
            patient=first.patient_identifier,
            specialty=first.doctor_specialty,
            reason=first.reason,
            created_at=first.created_at,
            confirmed_datetime=first.confirmed_datetime,
            confirmation_details=first.confirmation_details,
            requested_slots=[
                FreeSlot(
                    id=row.slot_id, service=first.service, start=row.starts_at, end=row.ends_at
                )
                for row in rows
                if row.slot_id is not None
            ],
        )

    async def find_held(self, service: str, slot_ids: Collection[str]) -> frozenset[str]:
        """Return those of the slots that are held."""
        statement = select(HeldSlot.slot_id).where(
            HeldSlot.service == service, HeldSlot.slot_id.in_(slot_ids)
        )
        async with self._reads.connect() as connection:
            return frozenset((await connection.execute(statement)).scalars())

    async def hold_slots(
        self, tx: Transaction, account_id: UUID, appointment_id: UUID, slots: Sequence[FreeSlot]
    ) -> None:
        """Hold *slots*, for which the practice has not been asked yet.

        The caller must hold the account's row lock, so that the later of two concurrent bookings of
        one account sees the earlier.

        Raises:
            SlotTaken: another appointment holds one of them.
            AppointmentsOverlap: the account has another appointment at that time.
        """
        service = slots[0].service
        # In sorted order: two bookings of the same two slots would deadlock otherwise.
        ids = sorted(one.id for one in slots)
        # A slot in the past blocks nothing, so its row is deleted first.
        await tx.execute(
            delete(HeldSlot).where(
                HeldSlot.service == service, HeldSlot.slot_id.in_(ids), HeldSlot.ends_at <= tx.now
            )
        )
        overlapping = (
            select(HeldSlot.slot_id)
            .join(Appointment, Appointment.id == HeldSlot.appointment_id)
            .where(
                Appointment.account_id == account_id,
                Appointment.id != appointment_id,
                Appointment.status.in_(LIVE_STATUSES),
                HeldSlot.starts_at < slots[-1].end,
                HeldSlot.ends_at > slots[0].start,
            )
            .limit(1)
        )
        if (await tx.execute(overlapping)).first() is not None:
            raise AppointmentsOverlap
        rows = [
            {
                "service": service,
                "slot_id": one.id,
                "appointment_id": appointment_id,
                "starts_at": one.start,
                "ends_at": one.end,
                "is_agreed": False,
            }
            for one in sorted(slots, key=lambda one: one.id)
        ]
        held = await tx.execute(
            insert(HeldSlot).values(rows).on_conflict_do_nothing().returning(HeldSlot.slot_id)
        )
        if len(held.all()) != len(rows):
            raise SlotTaken

    async def apply_decision(self, tx: Transaction, appointment_id: UUID, *, agreed: bool) -> None:
        """Keep the requested slots and release the earlier ones if *agreed*, else the reverse."""
        released = HeldSlot.is_agreed if agreed else HeldSlot.is_agreed.is_(False)
        await tx.execute(
            delete(HeldSlot).where(HeldSlot.appointment_id == appointment_id, released)
        )
        if agreed:
            await tx.execute(
                update(HeldSlot)
                .where(HeldSlot.appointment_id == appointment_id)
                .values(is_agreed=True)
            )

    async def release(self, tx: Transaction, appointment_id: UUID) -> None:
        """Release every slot of the appointment."""
        await tx.execute(delete(HeldSlot).where(HeldSlot.appointment_id == appointment_id))
