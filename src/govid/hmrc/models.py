"""The table of the HMRC module, as columns. The rules of the rows stand in the migration."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import DateTime, FetchedValue, MetaData, Numeric, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of HMRC's tables: its own schema, exact money, and no time without its zone."""

    metadata = MetaData(schema="hmrc")
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares it so
        str: Text(),
        datetime: DateTime(timezone=True),
        Decimal: Numeric(15, 2),
    }


class TaxRecord(Base):
    """A tax record, as its owner filed it."""

    __tablename__ = "tax_record"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tax_id: Mapped[str] = mapped_column(server_default=FetchedValue())
    account_id: Mapped[UUID]
    name: Mapped[str]
    tax_number: Mapped[str]
    tax_year: Mapped[str]
    tax_amount: Mapped[Decimal]
    created_at: Mapped[datetime]
