"""Filing of tax records, and reading them from HMRC, one request per account at a time."""

from uuid import UUID

from govid.bus import OperationContext, Page, Principal, QuotaReached, UnitOfWork, rerun_on_conflict
from govid.hmrc.errors import AccountIsBlocked, TaxRecordNotFound
from govid.hmrc.repository import BlockedAccounts, TaxRecordRepository
from govid.hmrc.schemas import FileTaxRecord, TaxRecordView


class TaxRecordFiling:
    """Files, lists and removes a citizen's own tax records."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: BlockedAccounts,
        tax_records: TaxRecordRepository,
        *,
        max_records: int,
    ) -> None:
        """Allow each account at most *max_records* of *tax_records*; 0 is no limit."""
        self._uow = uow
        self._accounts = accounts
        self._tax_records = tax_records
        self._max_records = max_records

    @rerun_on_conflict
    async def file(
        self, record: FileTaxRecord, principal: Principal, cause: OperationContext
    ) -> TaxRecordView:
        """Store *record* as the principal's own.

        Raises:
            QuotaReached: the account has reached its quota of tax records.
            AccountIsBlocked: the account was blocked during this request.
        """
        account_id = principal.account_id
        async with self._uow.begin(cause) as tx:
            # The lock also prevents two concurrent requests from exceeding the quota.
            if await self._accounts.lock_and_check(tx, account_id):
                raise AccountIsBlocked
            if (
                self._max_records
                and await self._tax_records.count(tx, account_id) >= self._max_records
            ):
                raise QuotaReached(
                    f"Your account has {self._max_records} tax records, which is the maximum. "
                    "Remove one before you file another"
                )
            return await self._tax_records.insert(tx, principal.account_id, record)

    async def remove(self, record_id: UUID, principal: Principal, cause: OperationContext) -> None:
        """Delete one of the principal's records.

        Raises:
            TaxRecordNotFound: there is no such record, or it belongs to another account.
        """
        async with self._uow.begin(cause) as tx:
            if not await self._tax_records.delete(tx, principal.account_id, record_id):
                raise TaxRecordNotFound

    async def list_own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[TaxRecordView]:
        """Return a page of the principal's own records."""
        return await self._tax_records.fetch_page(principal.account_id, limit=limit, after=after)
