"""What HMRC holds about an account, for whoever wants to know what is held about them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import select

from govid.bus import Database
from govid.hmrc.models import TaxRecord
from govid.hmrc.money import write
from govid.hmrc.repository import Consents
from govid.hmrc.seal import Seal

_TAX_RECORD = tuple(column for column in TaxRecord.__table__.columns if column.name != "account_id")


class Records:
    """The records of one account, as they are stored, but what opens something."""

    def __init__(self, database: Database, sealing_key: bytes) -> None:
        """Read from *database*, which need not be open yet; open by *sealing_key*."""
        self._reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
        self._consents = Consents(self._reads, Seal(sealing_key))

    async def of(self, account_id: UUID) -> Mapping[str, Sequence[Any]]:
        """Return the account's tax records and its consent; amounts are exact, as everywhere."""
        records = (
            select(*_TAX_RECORD).where(TaxRecord.account_id == account_id).order_by(TaxRecord.id)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(records)).mappings().all()
        return {
            "tax_records": [{**row, "tax_amount": write(row["tax_amount"])} for row in rows],
            "consents": await self._consent(account_id),
        }

    async def _consent(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """Return the consent, with the reference that it was given for while it can be opened."""
        dates = await self._consents.dates(account_id)
        kept = await self._consents.find(account_id)
        if dates is None or kept is None:
            return ()
        utr = kept.holding.utr if kept.holding else None
        return ({**structs.asdict(dates), "utr": utr},)
