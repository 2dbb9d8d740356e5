"""Clients of HMRC's tax APIs, whose answers are combined into a person's tax records.

Source: HMRC Developer Hub: Individual Tax 1.1, Individual Income 1.2, Individual Employment 1.2;
hmrc/self-assessment-liability-api 0.3.0.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import structs

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream import UnusableResponse, UpstreamClient, UpstreamRequest, UpstreamResponse
from govid.hmrc.clients.errors import build_tax_error
from govid.hmrc.clients.interfaces import (
    DataNotFound,
    EmploymentSummary,
    SelfAssessmentAccount,
    StateBenefits,
    TaxRecordRequest,
    TaxYearSummary,
)
from govid.hmrc.tax_values import TaxYear

ONE_PENNY = Decimal("0.01")
LARGEST_AMOUNT = Decimal("9999999999999.99")


def decode_exact_amounts(response: UpstreamResponse, shape: Any) -> Any:
    """Decode the body of *response* as *shape*, in which every amount is in whole pence.

    Raises:
        UnusableResponse: the body has another shape.
    """
    read = response.decode(shape)
    if not all(map(_is_exact, _collect_amounts(read))):
        raise UnusableResponse(response.department, "amount")
    return read


def _is_exact(amount: Decimal) -> bool:
    try:
        return abs(amount) <= LARGEST_AMOUNT and amount == amount.quantize(ONE_PENNY)
    except InvalidOperation:
        return False


def _collect_amounts(value: Any) -> list[Decimal]:
    match value:
        case Decimal():
            return [value]
        case msgspec.Struct():
            return [
                one
                for name in value.__struct_fields__
                for one in _collect_amounts(getattr(value, name))
            ]
        case list() | tuple():
            return [one for item in value for one in _collect_amounts(item)]
        case _:
            return []


class _ResponsePart(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """A part of a response. Unknown members are ignored."""


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
        response = await self._api.request(
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
        if not response.is_success:
            raise build_tax_error(self._api, response)
        part: AnnualSummary = decode_exact_amounts(response, AnnualSummary)
        return part


def authorisation_headers(request: TaxRecordRequest, media_type: str) -> dict[str, Any]:
    """Return the headers of a request that is made with a person's consent."""
    return {"Accept": media_type, "Authorization": f"Bearer {request.access_token}"}


_BASE_PATH = "/individuals/self-assessment/breakdown"
_MEDIA_TYPE = "application/vnd.hmrc.1.0+json"


class LiabilitiesClient:
    """Client of the API "View Self Assessment Account"."""

    def __init__(self, api: UpstreamClient) -> None:
        """Call *api*."""
        self._api = api

    async def fetch_account(self, request: TaxRecordRequest, since: date) -> SelfAssessmentAccount:
        """Return the account with its entries since *since*."""
        response = await self._api.request(
            UpstreamRequest(
                operation="account.read",
                method="GET",
                route=f"{_BASE_PATH}/{{utr}}",
                path=f"{_BASE_PATH}/{request.utr}",
                query=(("fromDate", since.isoformat()),),
                headers=authorisation_headers(request, _MEDIA_TYPE),
                accepts=("application/json", _MEDIA_TYPE),
                repeatable=True,
                correlation_id=request.correlation_id,
            )
        )
        if not response.is_success:
            raise build_tax_error(self._api, response)
        account: SelfAssessmentAccount = decode_exact_amounts(response, SelfAssessmentAccount)
        return account


class RemoteTaxRecordClient:
    """Reads tax records from HMRC, real or simulated."""

    def __init__(
        self,
        tax: AnnualSummaryClient,
        income: AnnualSummaryClient,
        employment: AnnualSummaryClient,
        liabilities: LiabilitiesClient,
    ) -> None:
        """Call these four APIs."""
        self._annual = (tax, income, employment)
        self._liabilities = liabilities

    async def fetch_summary(self, request: TaxRecordRequest, year: TaxYear) -> TaxYearSummary:
        """Return the combined summary of *year*; a part without data stays None."""
        asked = await asyncio.gather(
            *(api.fetch(request, year) for api in self._annual), return_exceptions=True
        )
        tax, income, employment = (_part_or_none(answer) for answer in asked)
        if tax is None and income is None and employment is None:
            raise DataNotFound
        refunds = tax.refunds if tax else None
        return TaxYearSummary(
            employments=_merge_employments(
                part.employments for part in (employment, income, tax) if part
            ),
            received=income.pensions_annuities_and_other_state_benefits if income else None,
            taken_off=tax.pensions_annuities_and_other_state_benefits if tax else None,
            refunded=refunds.tax_refunded_or_set_off if refunds else None,
        )

    async def fetch_account(self, request: TaxRecordRequest, since: date) -> SelfAssessmentAccount:
        """Return the Self Assessment account."""
        return await self._liabilities.fetch_account(request, since)


def _part_or_none(summary: AnnualSummary | BaseException) -> AnnualSummary | None:
    if isinstance(summary, DataNotFound):
        return None
    if isinstance(summary, BaseException):
        raise summary
    return summary


def _merge_employments(
    lists: Iterable[Sequence[EmploymentRecord] | None],
) -> Sequence[EmploymentSummary] | None:
    """Merge the lists of employments; None if no API returns a list.

    Two employments with one employer have the same reference: those at the same position among the
    entries with that reference are merged.
    """
    given = [jobs for jobs in lists if jobs is not None]
    if not given:
        return None
    known: dict[tuple[str, int], EmploymentSummary] = {}
    for jobs in given:
        for key, job in _number_by_reference(jobs):
            found = known.get(key, EmploymentSummary(paye_reference=key[0]))
            known[key] = structs.replace(found, **_known_members(job))
    return tuple(known.values())


def _number_by_reference(
    jobs: Sequence[EmploymentRecord],
) -> Iterator[tuple[tuple[str, int], EmploymentRecord]]:
    seen: Counter[str] = Counter()
    for job in jobs:
        yield (job.employer_paye_reference, seen[job.employer_paye_reference]), job
        seen[job.employer_paye_reference] += 1


def _known_members(job: EmploymentRecord) -> dict[str, object]:
    members = {
        "employer": job.employer_name,
        "is_off_payroll": job.off_payroll_work_flag,
        "pay": job.pay_from_employment,
        "tax": job.tax_taken_off_pay,
    }
    return {name: value for name, value in members.items() if value is not None}
