"""Data export, erasure and withdrawal of consent when an account is exported, closed or blocked."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import func, select

from govid.bus import BlockedAccounts, Database, Delivery, Transaction, stream_pages
from govid.bus.events import AccountBlocked, AccountClosed, AccountRestored
from govid.hmrc.models import TaxRecord
from govid.hmrc.repository import ConsentCipher, ConsentRepository, TaxRecordRepository
from govid.hmrc.tax_values import format_amount

_TAX_RECORD = tuple(column for column in TaxRecord.__table__.columns if column.name != "account_id")
_TAX_RECORD_BYTES = func.octet_length(TaxRecord.name)


class DataExportSource:
    """Reads the stored records of one account, without tokens and other secrets."""

    def __init__(self, database: Database, *encryption_keys: bytes) -> None:
        """Read from *database*, which need not be open yet; decrypt with *encryption_keys*."""
        self._autocommit = database.requests.execution_options(isolation_level="AUTOCOMMIT")
        self._consents = ConsentRepository(self._autocommit, ConsentCipher(*encryption_keys))

    def sections(
        self,
    ) -> Mapping[str, Callable[[UUID], AsyncIterator[Sequence[Mapping[str, Any]]]]]:
        """Return a function for each kind of record that streams it in pages."""
        return {"tax_records": self._tax_records, "consents": self.export_consents}

    async def export_consents(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the consent, and the taxpayer reference it was given for if it can be decrypted."""
        dates = await self._consents.get_dates(account_id)
        consent = await self._consents.find(account_id)
        if dates is None or consent is None:
            return
        utr = consent.tokens.utr if consent.tokens else None
        yield ({**structs.asdict(dates), "utr": utr},)

    async def _tax_records(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the filed records; amounts are exact, as in every response."""
        rows = select(*_TAX_RECORD).where(TaxRecord.account_id == account_id)
        async for page in stream_pages(self._autocommit, rows, _TAX_RECORD_BYTES):
            yield [{**row, "tax_amount": format_amount(row["tax_amount"])} for row in page]


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
        await self._tax_records.delete_for_account(tx, delivery.event.account_id)


AccountStatusEvent = AccountBlocked | AccountClosed | AccountRestored


class AccountStatusHandler:
    """Deletes the consent tokens of blocked and closed accounts.

    A restored account may consent again.
    """

    def __init__(self, accounts: BlockedAccounts, consents: ConsentRepository) -> None:
        """Mark *accounts* as blocked; delete from *consents*."""
        self._accounts = accounts
        self._consents = consents

    async def prepare(self, delivery: Delivery[AccountStatusEvent]) -> None:
        """Do nothing: there is no input to read."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountStatusEvent],
        outcome: None,  # noqa: ARG002 - of the handler protocol
    ) -> None:
        """Mark the account first: a concurrent consent has then committed, or will be refused."""
        account_id = delivery.event.account_id
        if isinstance(delivery.event, AccountRestored):
            await self._accounts.restore(tx, account_id)
            return
        await self._accounts.block(tx, account_id)
        await self._consents.delete(tx, account_id)
