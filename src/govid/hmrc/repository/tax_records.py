"""Stores the tax records that citizens filed. Every read is limited to one account."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Page, Transaction, build_page, limit_page, uuid7
from govid.hmrc.models import TaxRecord
from govid.hmrc.schemas import FileTaxRecord, TaxRecordView
from govid.hmrc.tax_values import format_amount

_TAX_RECORD = (
    TaxRecord.id,
    TaxRecord.tax_id,
    TaxRecord.name,
    TaxRecord.tax_number,
    TaxRecord.tax_year,
    TaxRecord.tax_amount,
)

_TEXT_BYTES = func.octet_length(TaxRecord.name)


class TaxRecordRepository:
    """Stores filed tax records."""

    def __init__(self, autocommit: AsyncEngine) -> None:
        """Read on *autocommit*, an engine on which each statement commits by itself."""
        self._autocommit = autocommit

    async def fetch_page(
        self, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Page[TaxRecordView]:
        """Return a page of the account's records, in order of id: up to *limit* after *after*."""
        statement = select(*_TAX_RECORD).where(TaxRecord.account_id == account_id)
        if after is not None:
            statement = statement.where(TaxRecord.id > after)
        async with self._autocommit.connect() as connection:
            rows = (await connection.execute(limit_page(statement, _TEXT_BYTES, limit))).all()
        return build_page(rows, _to_view, limit)

    async def insert(
        self, tx: Transaction, account_id: UUID, record: FileTaxRecord
    ) -> TaxRecordView:
        """Store a filed record."""
        statement = insert(TaxRecord).values(
            id=uuid7(),
            account_id=account_id,
            name=record.name,
            tax_number=record.utr,
            tax_year=record.year.full,
            tax_amount=record.amount,
            created_at=tx.now,
        )
        return _row_to_view((await tx.execute(statement.returning(*_TAX_RECORD))).one())

    async def count(self, tx: Transaction, account_id: UUID) -> int:
        """Count the records that the account has filed."""
        statement = select(func.count()).where(TaxRecord.account_id == account_id)
        found: int = (await tx.execute(statement)).scalar_one()
        return found

    async def delete(self, tx: Transaction, account_id: UUID, record_id: UUID) -> bool:
        """Delete a record of the account; return whether there was one."""
        removed = await tx.execute(
            delete(TaxRecord).where(TaxRecord.id == record_id, TaxRecord.account_id == account_id)
        )
        return removed.rowcount == 1

    async def delete_for_account(self, tx: Transaction, account_id: UUID) -> None:
        """Delete all records of the account."""
        await tx.execute(delete(TaxRecord).where(TaxRecord.account_id == account_id))


def _row_to_view(row: Row[*tuple[Any, ...]]) -> TaxRecordView:
    return _to_view(row._asdict())


def _to_view(columns: dict[str, Any]) -> TaxRecordView:
    return TaxRecordView(**columns | {"tax_amount": format_amount(columns["tax_amount"])})
