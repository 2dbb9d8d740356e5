"""Clients of three HMRC APIs, each of which returns a part of a person's tax year.

Source: HMRC Developer Hub: Individual Tax 1.1, Individual Income 1.2, Individual Employment 1.2.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from govid.bus.upstream import UpstreamClient, UpstreamRequest
from govid.hmrc.registry.pounds import decode_exact_amounts
from govid.hmrc.registry.tax_refusals import tax_error
from govid.hmrc.registry.taxes import StateBenefits, TaxRecordRequest
from govid.hmrc.tax_year import TaxYear


class _ResponsePart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a response. Unknown members are ignored."""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class EmploymentRecord(_ResponsePart, frozen=True, kw_only=True):
    """One employment: each API returns other members of it."""

    employer_paye_reference: str
    employer_name: str | None = None
    off_payroll_work_flag: bool | None = None
    pay_from_employment: Decimal | None = None
    tax_taken_off_pay: Decimal | None = None


class TaxRefunds(_ResponsePart, frozen=True, kw_only=True):
    """Tax that was refunded or set off."""

    tax_refunded_or_set_off: Decimal | None = None


class AnnualSummary(_ResponsePart, frozen=True, kw_only=True):
    """A tax year, as one API returns it."""

    employments: Sequence[EmploymentRecord] | None = None
    pensions_annuities_and_other_state_benefits: StateBenefits | None = None
    refunds: TaxRefunds | None = None


class AnnualSummaryClient:
    """Client of one of the three APIs: `tax`, `income` or `employment`."""

    def __init__(self, api: UpstreamClient, subject: str, version: str) -> None:
        """Call *version* of *api* about *subject*."""
        self._api = api
        self._operation = f"{subject}.read"
        self._subject = subject
        self._media_type = f"application/vnd.hmrc.{version}+json"

    async def fetch(self, request: TaxRecordRequest, year: TaxYear) -> AnnualSummary:
        """Return this API's summary of *year*."""
        base_path = f"/individual-{self._subject}/sa"
        answer = await self._api.request(
            UpstreamRequest(
                operation=self._operation,
                method="GET",
                route=f"{base_path}/{{utr}}/annual-summary/{{tax_year}}",
                path=f"{base_path}/{request.utr}/annual-summary/{year.short}",
                headers=authorisation_headers(request, self._media_type),
                accepts=("application/json", self._media_type),
                repeatable=True,
                correlation_id=request.correlation_id,
            )
        )
        if not answer.is_success:
            raise tax_error(self._api, answer)
        part: AnnualSummary = decode_exact_amounts(answer, AnnualSummary)
        return part


def authorisation_headers(request: TaxRecordRequest, media_type: str) -> dict[str, Any]:
    """Return the headers of a request that is made with a person's consent."""
    return {"Accept": media_type, "Authorization": f"Bearer {request.access_token}"}
