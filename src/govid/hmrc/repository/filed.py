"""What citizens filed. Nothing is read but by the account it belongs to."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Page, Transaction, uuid7
from govid.hmrc import money
from govid.hmrc.models import TaxRecord
from govid.hmrc.schemas import FileTaxRecord, TaxRecordView

_TAX_RECORD = (
    TaxRecord.id,
    TaxRecord.tax_id,
    TaxRecord.name,
    TaxRecord.tax_number,
    TaxRecord.tax_year,
    TaxRecord.tax_amount,
)


class FiledRecords:
    """Tax records that citizens filed."""

    def __init__(self, reads: AsyncEngine) -> None:
        """Read on *reads*, an engine whose statements commit by themselves."""
        self._reads = reads

    async def page_of(
        self, account_id: UUID, *, limit: int, after: UUID | None
    ) -> Page[TaxRecordView]:
        """Return *limit* of the account's records, in order of id, from behind *after*."""
        statement = select(*_TAX_RECORD).where(TaxRecord.account_id == account_id)
        if after is not None:
            statement = statement.where(TaxRecord.id > after)
        async with self._reads.connect() as connection:
            rows = await connection.execute(statement.order_by(TaxRecord.id).limit(limit + 1))
        return Page.of([_view(row) for row in rows], limit)

    async def add(self, tx: Transaction, account_id: UUID, record: FileTaxRecord) -> TaxRecordView:
        """Store what a citizen filed."""
        statement = insert(TaxRecord).values(
            id=uuid7(),
            account_id=account_id,
            name=record.name,
            tax_number=record.utr,
            tax_year=record.year.full,
            tax_amount=record.amount,
            created_at=tx.now,
        )
        return _view((await tx.execute(statement.returning(*_TAX_RECORD))).one())

    async def erase(self, tx: Transaction, account_id: UUID) -> None:
        """Delete everything that the account filed."""
        await tx.execute(delete(TaxRecord).where(TaxRecord.account_id == account_id))


def _view(row: Row[*tuple[Any, ...]]) -> TaxRecordView:
    return TaxRecordView(**row._asdict() | {"tax_amount": money.write(row.tax_amount)})
