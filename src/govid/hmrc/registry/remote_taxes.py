"""Reads a person's tax records from HMRC, and combines the answers of its APIs."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from msgspec import structs

from govid.hmrc.registry.annual import AnnualSummary, AnnualSummaryClient, EmploymentRecord
from govid.hmrc.registry.liabilities import LiabilitiesClient
from govid.hmrc.registry.taxes import (
    DataNotFound,
    EmploymentSummary,
    SelfAssessmentAccount,
    TaxRecordRequest,
    TaxYearSummary,
)
from govid.hmrc.tax_year import TaxYear


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
            employments=_merged(part.employments for part in (employment, income, tax) if part),
            received=income.pensions_annuities_and_other_state_benefits if income else None,
            taken_off=tax.pensions_annuities_and_other_state_benefits if tax else None,
            refunded=refunds.tax_refunded_or_set_off if refunds else None,
        )

    async def fetch_account(self, request: TaxRecordRequest, since: date) -> SelfAssessmentAccount:
        """Return the Self Assessment account."""
        return await self._liabilities.fetch_account(request, since)


def _part_or_none(answer: AnnualSummary | BaseException) -> AnnualSummary | None:
    if isinstance(answer, DataNotFound):
        return None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _merged(
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
        for key, job in _numbered(jobs):
            found = known.get(key, EmploymentSummary(paye_reference=key[0]))
            known[key] = structs.replace(found, **_known_members(job))
    return tuple(known.values())


def _numbered(
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
