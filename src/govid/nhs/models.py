"""The tables of the NHS module, as columns. The rules of the rows stand in the migration."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, FetchedValue, Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of the NHS's tables: its own schema, and no time without its zone."""

    metadata = MetaData(schema="nhs")
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares it so
        str: Text(),
        datetime: DateTime(timezone=True),
    }


class Account(Base):
    """What the NHS remembers of an account: one row to lock, and whether it is blocked."""

    __tablename__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    blocked_at: Mapped[datetime | None]


class Patient(Base):
    """A patient record. `source` tells who vouches for it: the citizen or the registry."""

    __tablename__ = "patient"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    patient_id: Mapped[str] = mapped_column(server_default=FetchedValue())
    account_id: Mapped[UUID]
    name: Mapped[str]
    nhs_number: Mapped[str]
    medical_history: Mapped[str | None]
    source: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Appointment(Base):
    """An appointment, from the wish to the decision.

    `service` is the practice, where slots of one are booked; `version` grows with each change.
    """

    __tablename__ = "appointment"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    patient_identifier: Mapped[str]
    requested_datetime: Mapped[datetime]
    doctor_specialty: Mapped[str]
    reason: Mapped[str | None]
    status: Mapped[str]
    confirmed_datetime: Mapped[datetime | None]
    confirmation_details: Mapped[str | None]
    rejection_reason: Mapped[str | None]
    cancellation_reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(BigInteger, server_default=FetchedValue())
    service: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class HeldSlot(Base):
    """A slot that an appointment holds: agreed with the practice, or only wanted so far."""

    __tablename__ = "held_slot"

    service: Mapped[str] = mapped_column(primary_key=True)
    slot_id: Mapped[str] = mapped_column(primary_key=True)
    appointment_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    is_agreed: Mapped[bool]


class BookingAnswer(Base):
    """What was answered to a booking, for whoever sends it again under the same key."""

    __tablename__ = "booking_answer"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[bytes]
    answer: Mapped[str]
    created_at: Mapped[datetime]


class Quota(Base):
    """A counter of a rate (`govid.bus.storage.quotas`), in a span that ends at `ends_at`."""

    __tablename__ = "quota"

    kind: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    held: Mapped[int] = mapped_column(Integer)
    spent: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    ends_at: Mapped[datetime]
