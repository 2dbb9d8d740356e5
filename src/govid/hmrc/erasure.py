"""Erases a person's tax records when their account is closed."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountClosed
from govid.hmrc.repository import TaxRecordRepository


class DataErasure:
    """Erases the tax records that were filed by the owner of a closed account."""

    def __init__(self, tax_records: TaxRecordRepository) -> None:
        """Erase from *tax_records*."""
        self._tax_records = tax_records

    async def prepare(self, delivery: Delivery[AccountClosed]) -> None:
        """Do nothing: there is no input to read."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountClosed],
        outcome: None,  # noqa: ARG002 - of the handler protocol
    ) -> None:
        """Erase the account's records in the handler's transaction."""
        await self._tax_records.delete_all(tx, delivery.event.account_id)
