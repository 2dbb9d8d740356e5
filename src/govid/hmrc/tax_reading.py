"""Reads tax records from HMRC, for the citizen who consented."""

import logging
from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar
from uuid import UUID

from govid.bus import InvalidRequest, OperationContext, Outage, Principal
from govid.hmrc.errors import (
    ConsentExpired,
    HmrcUnavailable,
    NoTaxData,
    ReferenceRefused,
    TaxRecordsDisabled,
)
from govid.hmrc.level import require_assurance
from govid.hmrc.openers import ActiveConsentTokens, ConsentTokenProvider
from govid.hmrc.registry.taxes import (
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
from govid.hmrc.schemas import TaxAccountView, TaxSummaryView
from govid.hmrc.settings import IdentityAssurance
from govid.hmrc.tax_views import account_view, summary_view
from govid.hmrc.tax_year import TaxYear
from govid.hmrc.turns import PerAccountLock

log = logging.getLogger(__name__)

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
        self, text: str, principal: Principal, cause: OperationContext
    ) -> TaxSummaryView:
        """Return HMRC's summary of the tax year *text*.

        Raises:
            GovidError: *text* is no tax year, there is no consent, or HMRC has no data.
        """
        try:
            year = TaxYear.parse(text)
        except ValueError as error:
            raise InvalidRequest.for_field(
                "tax_year", str(error), "tax_year_format", place="path"
            ) from error
        found: TaxYearSummary = await self._read(
            principal, cause, lambda records, request: records.fetch_summary(request, year)
        )
        return summary_view(year, found)

    async def read_account(
        self, since: date, principal: Principal, cause: OperationContext
    ) -> TaxAccountView:
        """Return the Self Assessment account with its entries since *since*.

        Raises:
            GovidError: there is no consent, or HMRC has no data.
        """
        found: SelfAssessmentAccount = await self._read(
            principal, cause, lambda records, request: records.fetch_account(request, since)
        )
        return account_view(found)

    async def _read(
        self,
        principal: Principal,
        cause: OperationContext,
        ask: Callable[[TaxRecordClient, TaxRecordRequest], Awaitable[T]],
    ) -> T:
        """Run *ask* for the citizen if permitted, one request per account at a time."""
        if self._tax_records is None or self._token_provider is None:
            raise TaxRecordsDisabled
        require_assurance(principal, self._required_assurance)
        async with self._account_locks.acquire(principal.account_id):
            return await self._ask_with_tokens(
                self._tax_records, self._token_provider, principal.account_id, cause, ask
            )

    async def _ask_with_tokens(
        self,
        tax_records: TaxRecordClient,
        token_provider: ConsentTokenProvider,
        account_id: UUID,
        cause: OperationContext,
        ask: Callable[[TaxRecordClient, TaxRecordRequest], Awaitable[T]],
    ) -> T:
        """Run *ask* with the citizen's token, and with a renewed one if the first is refused."""
        tokens = await token_provider.get(account_id, cause)
        try:
            try:
                return await ask(tax_records, _request(tokens, cause))
            except AccessTokenRefused:
                tokens = await token_provider.get(
                    account_id, cause, refused_generation=tokens.generation
                )
                return await ask(tax_records, _request(tokens, cause))
        except ReconsentRequired:
            await token_provider.expire(account_id, tokens.generation, cause)
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


def _request(tokens: ActiveConsentTokens, cause: OperationContext) -> TaxRecordRequest:
    return TaxRecordRequest(
        utr=tokens.tokens.utr,
        access_token=tokens.tokens.access_token,
        correlation_id=cause.correlation_id,
    )
