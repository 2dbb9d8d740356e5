"""The tables of the NHS module, as columns. The rules of the rows stand in the migration."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, FetchedValue, MetaData, Text
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
    """An appointment, from the wish to the decision."""

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
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
