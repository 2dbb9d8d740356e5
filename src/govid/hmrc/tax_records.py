"""Files tax records, and reads them from HMRC, one request per account at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from govid.bus import (
    BlockedAccounts,
    InvalidRequest,
    OperationContext,
    Outage,
    Page,
    Principal,
    QuotaReached,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.shared.assurance import AccountIsBlocked, IdentityAssurance, require_assurance
from govid.hmrc.clients.interfaces import (
    AccessTokenRefused,
    DataNotFound,
    InvalidTaxRequest,
    ReconsentRequired,
    ReferenceNotPermitted,
    SelfAssessmentAccount,
    TaxRecordClient,
    TaxRecordRequest,
    TaxYearSummary,
)
from govid.hmrc.consent import ActiveConsentTokens, ConsentTokenProvider
from govid.hmrc.errors import (
    ConsentExpired,
    HmrcUnavailable,
    NoTaxData,
    ReferenceRefused,
    StepUpRequired,
    TaxRecordNotFound,
    TaxRecordsDisabled,
)
from govid.hmrc.repository import TaxRecordRepository
from govid.hmrc.schemas import FileTaxRecord, TaxAccountView, TaxRecordView, TaxSummaryView
from govid.hmrc.tax_values import TaxYear
from govid.hmrc.tax_views import account_view, summary_view

log = logging.getLogger(__name__)


LOCK_WAIT_SECONDS = 10.0
"""The longest duration of a call to HMRC."""


class PerAccountLock:
    """A lock per account, in this process.

    All calls to HMRC share one rate limit, and reading a tax year takes three of them. So at most
    three calls of one citizen are queued before those of other citizens and verifications.
    """

    def __init__(self, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Let a request wait for at most *wait_seconds*."""
        self._wait_seconds = wait_seconds
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def acquire(self, account_id: UUID) -> AsyncIterator[None]:
        """Hold the lock of *account_id*.

        Raises:
            HmrcUnavailable: the lock is not free in time.
        """
        lock = self._locks.setdefault(account_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lock.acquire()
        except TimeoutError:
            raise HmrcUnavailable from None
        try:
            yield
        finally:
            lock.release()


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
        self, record: FileTaxRecord, principal: Principal, context: OperationContext
    ) -> TaxRecordView:
        """Store *record* as the principal's own.

        Raises:
            QuotaReached: the account has reached its quota of tax records.
            AccountIsBlocked: the account was blocked during this request.
        """
        account_id = principal.account_id
        async with self._uow.begin(context) as tx:
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

    async def remove(
        self, record_id: UUID, principal: Principal, context: OperationContext
    ) -> None:
        """Delete one of the principal's records.

        Raises:
            TaxRecordNotFound: there is no such record, or it belongs to another account.
        """
        async with self._uow.begin(context) as tx:
            if not await self._tax_records.delete(tx, principal.account_id, record_id):
                raise TaxRecordNotFound

    async def list_own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[TaxRecordView]:
        """Return a page of the principal's own records."""
        return await self._tax_records.fetch_page(principal.account_id, limit=limit, after=after)


T = TypeVar("T")


class TaxRecordReader:
    """Reads tax records at HMRC, never inside a transaction."""

    def __init__(
        self,
        tax_records: TaxRecordClient | None,
        token_provider: ConsentTokenProvider | None,
        *,
        required_assurance: IdentityAssurance,
    ) -> None:
        """Read *tax_records* with *token_provider*; None means that HMRC is not connected."""
        self._tax_records = tax_records
        self._token_provider = token_provider
        self._required_assurance = required_assurance
        self._account_locks = PerAccountLock()

    async def read_summary(
        self, tax_year: str, principal: Principal, context: OperationContext
    ) -> TaxSummaryView:
        """Return HMRC's summary of *tax_year*.

        Raises:
            GovidError: *tax_year* is no tax year, there is no consent, or HMRC has no data.
        """
        try:
            year = TaxYear.parse(tax_year)
        except ValueError as error:
            raise InvalidRequest.for_field(
                "tax_year", str(error), "tax_year_format", location="path"
            ) from error
        found: TaxYearSummary = await self._read(
            principal, context, lambda records, request: records.fetch_summary(request, year)
        )
        return summary_view(year, found)

    async def read_account(
        self, since: date, principal: Principal, context: OperationContext
    ) -> TaxAccountView:
        """Return the Self Assessment account with its entries since *since*.

        Raises:
            GovidError: there is no consent, or HMRC has no data.
        """
        found: SelfAssessmentAccount = await self._read(
            principal, context, lambda records, request: records.fetch_account(request, since)
        )
        return account_view(found)

    async def _read(
        self,
        principal: Principal,
        context: OperationContext,
        fetch: Callable[[TaxRecordClient, TaxRecordRequest], Awaitable[T]],
    ) -> T:
        """Run *fetch* for the citizen if permitted, one request per account at a time."""
        if self._tax_records is None or self._token_provider is None:
            raise TaxRecordsDisabled
        require_assurance(principal, self._required_assurance, StepUpRequired)
        async with self._account_locks.acquire(principal.account_id):
            return await self._fetch_with_tokens(
                self._tax_records, self._token_provider, principal.account_id, context, fetch
            )

    async def _fetch_with_tokens(
        self,
        tax_records: TaxRecordClient,
        token_provider: ConsentTokenProvider,
        account_id: UUID,
        context: OperationContext,
        fetch: Callable[[TaxRecordClient, TaxRecordRequest], Awaitable[T]],
    ) -> T:
        """Run *fetch* with the citizen's token, and with a renewed one if the first is refused."""
        tokens = await token_provider.get(account_id, context)
        try:
            try:
                return await fetch(tax_records, _build_request(tokens, context))
            except AccessTokenRefused:
                tokens = await token_provider.get(
                    account_id, context, refused_generation=tokens.generation
                )
                return await fetch(tax_records, _build_request(tokens, context))
        except ReconsentRequired:
            await token_provider.expire(account_id, tokens.generation, context)
            raise ConsentExpired from None
        except DataNotFound:
            raise NoTaxData from None
        except ReferenceNotPermitted:
            raise ReferenceRefused from None
        except InvalidTaxRequest:
            raise InvalidRequest("HMRC does not accept this tax year or date") from None
        except AccessTokenRefused:
            # HMRC refuses a token that it has just issued: a transient failure of HMRC.
            log.error(  # noqa: TRY400 - its frames hold personal data (I9)
                "department.new_token_refused", extra={"department": "hmrc-taxes"}
            )
            raise HmrcUnavailable from None
        except Outage as outage:
            raise HmrcUnavailable from outage


def _build_request(tokens: ActiveConsentTokens, context: OperationContext) -> TaxRecordRequest:
    return TaxRecordRequest(
        utr=tokens.tokens.utr,
        access_token=tokens.tokens.access_token,
        correlation_id=context.correlation_id,
    )
