"""What HMRC holds about an account, for whoever wants to know what is held about them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from govid.bus import Database
from govid.hmrc.models import TaxRecord
from govid.hmrc.money import write

_TAX_RECORD = tuple(column for column in TaxRecord.__table__.columns if column.name != "account_id")


class Records:
    """The records of one account, as they are stored."""

    def __init__(self, database: Database) -> None:
        """Read from *database*, which need not be open yet."""
        self._reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")

    async def of(self, account_id: UUID) -> Mapping[str, Sequence[Any]]:
        """Return the account's tax records; amounts are exact, as everywhere."""
        records = (
            select(*_TAX_RECORD).where(TaxRecord.account_id == account_id).order_by(TaxRecord.id)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(records)).mappings()
            return {
                "tax_records": [{**row, "tax_amount": write(row["tax_amount"])} for row in rows]
            }
