"""Tables of the NHS module. Constraints are defined in the migrations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, FetchedValue, Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables: schema `nhs`, text columns, timestamps with time zone."""

    metadata = MetaData(schema="nhs")
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares it so
        str: Text(),
        datetime: DateTime(timezone=True),
    }


class Account(Base):
    """Account status as the NHS module knows it, and the row that its use cases lock."""

    __tablename__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    blocked_at: Mapped[datetime | None]


class Patient(Base):
    """Patient record. `source` is `citizen` (self-declared) or `registry` (verified)."""

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
    """Appointment, from the request to the decision.

    `service` is the practice, if slots are booked; `version` increases with each change.
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
    """Slot that an appointment holds: agreed with the practice, or only requested so far."""

    __tablename__ = "held_slot"

    service: Mapped[str] = mapped_column(primary_key=True)
    slot_id: Mapped[str] = mapped_column(primary_key=True)
    appointment_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    is_agreed: Mapped[bool]


class BookingAnswer(Base):
    """Stored response to a booking, returned when the same idempotency key is sent again."""

    __tablename__ = "booking_answer"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[bytes]
    answer: Mapped[str]
    created_at: Mapped[datetime]


class Quota(Base):
    """Rate-limit counter (`govid.bus.storage.quotas`) of a period that ends at `ends_at`."""

    __tablename__ = "quota"

    kind: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    held: Mapped[int] = mapped_column(Integer)
    spent: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    ends_at: Mapped[datetime]
