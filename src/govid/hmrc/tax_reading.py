"""Reads tax records from HMRC, for the citizen who consented."""

import logging
from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar
from uuid import UUID

from govid.bus import Cause, Invalid, Outage, Principal
from govid.hmrc.errors import (
    ConsentHasLapsed,
    HmrcIsAway,
    NoTaxData,
    ReferenceRefused,
    TaxRecordsAreOff,
)
from govid.hmrc.level import check_level
from govid.hmrc.openers import Opener, Openers
from govid.hmrc.registry.taxes import (
    Account,
    NoData,
    NotAskable,
    NotPermitted,
    Reading,
    ReconsentRequired,
    Summary,
    TaxRecords,
    TokenRefused,
)
from govid.hmrc.schemas import TaxAccountView, TaxSummaryView
from govid.hmrc.settings import Level
from govid.hmrc.tax_views import account_view, summary_view
from govid.hmrc.tax_year import TaxYear
from govid.hmrc.turns import Turns

log = logging.getLogger(__name__)

T = TypeVar("T")


class TaxReading:
    """Reads tax records at HMRC, never inside a transaction."""

    def __init__(
        self, tax_records: TaxRecords | None, token_provider: Openers | None, *, min_level: Level
    ) -> None:
        """Read *tax_records* with *token_provider*; None means that HMRC is not connected."""
        self._tax_records = tax_records
        self._token_provider = token_provider
        self._min_level = min_level
        self._account_locks = Turns()

    async def summary(self, text: str, principal: Principal, cause: Cause) -> TaxSummaryView:
        """Return HMRC's summary of the tax year *text*.

        Raises:
            GovidError: *text* is no tax year, there is no consent, or HMRC has no data.
        """
        try:
            year = TaxYear.read(text)
        except ValueError as error:
            raise Invalid.at("tax_year", str(error), "tax_year_format", place="path") from error
        found: Summary = await self._read(
            principal, cause, lambda records, request: records.summary(request, year)
        )
        return summary_view(year, found)

    async def account(self, since: date, principal: Principal, cause: Cause) -> TaxAccountView:
        """Return the Self Assessment account with its entries since *since*.

        Raises:
            GovidError: there is no consent, or HMRC has no data.
        """
        found: Account = await self._read(
            principal, cause, lambda records, request: records.account(request, since)
        )
        return account_view(found)

    async def _read(
        self,
        principal: Principal,
        cause: Cause,
        ask: Callable[[TaxRecords, Reading], Awaitable[T]],
    ) -> T:
        """Run *ask* for the citizen if permitted, one request per account at a time."""
        if self._tax_records is None or self._token_provider is None:
            raise TaxRecordsAreOff
        check_level(principal, self._min_level)
        async with self._account_locks.of(principal.account_id):
            return await self._ask_with_tokens(
                self._tax_records, self._token_provider, principal.account_id, cause, ask
            )

    async def _ask_with_tokens(
        self,
        tax_records: TaxRecords,
        token_provider: Openers,
        account_id: UUID,
        cause: Cause,
        ask: Callable[[TaxRecords, Reading], Awaitable[T]],
    ) -> T:
        """Run *ask* with the citizen's token, and with a renewed one if the first is refused."""
        tokens = await token_provider.of(account_id, cause)
        try:
            try:
                return await ask(tax_records, _request(tokens, cause))
            except TokenRefused:
                tokens = await token_provider.of(account_id, cause, refused=tokens.generation)
                return await ask(tax_records, _request(tokens, cause))
        except ReconsentRequired:
            await token_provider.lapse(account_id, tokens.generation, cause)
            raise ConsentHasLapsed from None
        except NoData:
            raise NoTaxData from None
        except NotPermitted:
            raise ReferenceRefused from None
        except NotAskable:
            raise Invalid("HMRC does not accept this tax year or date") from None
        except TokenRefused:
            # HMRC refuses a token that it has just issued: a transient failure of HMRC.
            log.error(  # noqa: TRY400 - its frames hold personal data (I9)
                "department.new_token_refused", extra={"department": "hmrc-taxes"}
            )
            raise HmrcIsAway from None
        except Outage as outage:
            raise HmrcIsAway from outage


def _request(tokens: Opener, cause: Cause) -> Reading:
    return Reading(
        utr=tokens.holding.utr,
        access_token=tokens.holding.access_token,
        correlation_id=cause.correlation_id,
    )
