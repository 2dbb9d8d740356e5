"""Tax records: a citizen files and sees their own."""

from uuid import UUID

from govid.bus import Cause, Page, Principal, UnitOfWork
from govid.hmrc.repository import FiledRecords
from govid.hmrc.schemas import FileTaxRecord, TaxRecordView


class TaxFiling:
    """Files tax records."""

    def __init__(self, uow: UnitOfWork, tax_records: FiledRecords) -> None:
        """Keep *tax_records* in transactions of *uow*."""
        self._uow = uow
        self._tax_records = tax_records

    async def file(
        self, record: FileTaxRecord, principal: Principal, cause: Cause
    ) -> TaxRecordView:
        """Store *record* as the principal's own."""
        async with self._uow.begin(cause) as tx:
            return await self._tax_records.add(tx, principal.account_id, record)

    async def own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[TaxRecordView]:
        """Return a page of the principal's own records."""
        return await self._tax_records.page_of(principal.account_id, limit=limit, after=after)
