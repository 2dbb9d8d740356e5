"""What becomes of a person's tax records when their account is closed."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountClosed
from govid.hmrc.repository import FiledRecords


class Erasure:
    """Erases what the owner of a closed account has filed: nobody could see it any more."""

    def __init__(self, tax_records: FiledRecords) -> None:
        """Erase among *tax_records*."""
        self._tax_records = tax_records

    async def prepare(self, delivery: Delivery[AccountClosed]) -> None:
        """Ask nobody."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountClosed],
        outcome: None,  # noqa: ARG002 - nobody was asked
    ) -> None:
        """Erase the account's records."""
        await self._tax_records.erase(tx, delivery.event.account_id)
