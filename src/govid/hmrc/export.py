"""Streams the HMRC module's data about an account, for the account's data export."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import func, select

from govid.bus import Database, stream_pages
from govid.hmrc.models import TaxRecord
from govid.hmrc.money import format_amount
from govid.hmrc.repository import ConsentRepository
from govid.hmrc.seal import Seal

_TAX_RECORD = tuple(column for column in TaxRecord.__table__.columns if column.name != "account_id")
_TAX_RECORD_BYTES = func.octet_length(TaxRecord.name)


class DataExportSource:
    """Reads the stored records of one account, without tokens and other secrets."""

    def __init__(self, database: Database, *sealing_keys: bytes) -> None:
        """Read from *database*, which need not be open yet; decrypt with *sealing_keys*."""
        self._autocommit = database.requests.execution_options(isolation_level="AUTOCOMMIT")
        self._consents = ConsentRepository(self._autocommit, Seal(*sealing_keys))

    def sections(
        self,
    ) -> Mapping[str, Callable[[UUID], AsyncIterator[Sequence[Mapping[str, Any]]]]]:
        """Return a function for each kind of record that streams it in pages."""
        return {"tax_records": self._tax_records, "consents": self.export_consents}

    async def export_consents(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the consent, and the taxpayer reference it was given for if it can be decrypted."""
        dates = await self._consents.get_dates(account_id)
        kept = await self._consents.find(account_id)
        if dates is None or kept is None:
            return
        utr = kept.tokens.utr if kept.tokens else None
        yield ({**structs.asdict(dates), "utr": utr},)

    async def _tax_records(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the filed records; amounts are exact, as in every response."""
        rows = select(*_TAX_RECORD).where(TaxRecord.account_id == account_id)
        async for page in stream_pages(self._autocommit, rows, _TAX_RECORD_BYTES):
            yield [{**row, "tax_amount": format_amount(row["tax_amount"])} for row in page]
