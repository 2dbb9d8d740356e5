"""Declares the tables of the HMRC module as columns. Constraints are in the migrations."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    FetchedValue,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables: schema `hmrc`, exact amounts, and times with a time zone."""

    metadata = MetaData(schema="hmrc")
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares it so
        str: Text(),
        datetime: DateTime(timezone=True),
        Decimal: Numeric(15, 2),
        int: BigInteger(),
        bytes: LargeBinary(),
    }


class TaxRecord(Base):
    """A tax record that its owner filed."""

    __tablename__ = "tax_record"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tax_id: Mapped[str] = mapped_column(server_default=FetchedValue())
    account_id: Mapped[UUID]
    name: Mapped[str]
    tax_number: Mapped[str]
    tax_year: Mapped[str]
    tax_amount: Mapped[Decimal]
    created_at: Mapped[datetime]


class Account(Base):
    """Whether an account is blocked, as far as this module knows it."""

    __tablename__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    blocked_at: Mapped[datetime | None]


class ConsentRequest(Base):
    """A consent that an account has started, and that only this account may complete."""

    __tablename__ = "consent_request"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    state_digest: Mapped[bytes]
    sealed_proof: Mapped[bytes]
    expires_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]


class Consent(Base):
    """A consent that was given; once it has lapsed, it holds no tokens."""

    __tablename__ = "consent"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(server_default=FetchedValue())
    sealed: Mapped[bytes | None]
    renew_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    granted_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    lapsed_at: Mapped[datetime | None]


class Quota(Base):
    """A quota counter (`govid.bus.storage.quotas`) of a period that ends at `ends_at`."""

    __tablename__ = "quota"

    kind: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    held: Mapped[int] = mapped_column(Integer)
    spent: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    ends_at: Mapped[datetime]
