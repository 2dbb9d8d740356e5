"""A person's tax, put together from what HMRC's APIs know of it."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from msgspec import structs

from govid.hmrc.registry.annual import AnnualSummaries, Job, Part
from govid.hmrc.registry.liabilities import Liabilities
from govid.hmrc.registry.taxes import Account, Employment, NoData, Reading, Summary
from govid.hmrc.tax_year import TaxYear


class RemoteTaxRecords:
    """Asks HMRC, the real one or a simulated one: it is the same to it."""

    def __init__(
        self,
        tax: AnnualSummaries,
        income: AnnualSummaries,
        employment: AnnualSummaries,
        liabilities: Liabilities,
    ) -> None:
        """Ask these four."""
        self._annual = (tax, income, employment)
        self._liabilities = liabilities

    async def summary(self, of: Reading, year: TaxYear) -> Summary:
        """Return what the three know of *year*; what one of them has no data of stays None."""
        asked = await asyncio.gather(
            *(api.of(of, year) for api in self._annual), return_exceptions=True
        )
        tax, income, employment = (_known(answer) for answer in asked)
        if tax is None and income is None and employment is None:
            raise NoData
        refunds = tax.refunds if tax else None
        return Summary(
            employments=_together(part.employments for part in (employment, income, tax) if part),
            received=income.pensions_annuities_and_other_state_benefits if income else None,
            taken_off=tax.pensions_annuities_and_other_state_benefits if tax else None,
            refunded=refunds.tax_refunded_or_set_off if refunds else None,
        )

    async def account(self, of: Reading, since: date) -> Account:
        """Return the Self Assessment account."""
        return await self._liabilities.of(of, since)


def _known(answer: Part | BaseException) -> Part | None:
    if isinstance(answer, NoData):
        return None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _together(lists: Iterable[Sequence[Job] | None]) -> Sequence[Employment] | None:
    """Join what is said of each employment; None if nobody says anything of any.

    Who works twice for one employer has two employments with one reference: the first of each list
    is taken for the same, and so on.
    """
    given = [jobs for jobs in lists if jobs is not None]
    if not given:
        return None
    known: dict[tuple[str, int], Employment] = {}
    for jobs in given:
        for key, job in _counted(jobs):
            found = known.get(key, Employment(paye_reference=key[0]))
            known[key] = structs.replace(found, **_said(job))
    return tuple(known.values())


def _counted(jobs: Sequence[Job]) -> Iterator[tuple[tuple[str, int], Job]]:
    seen: Counter[str] = Counter()
    for job in jobs:
        yield (job.employer_paye_reference, seen[job.employer_paye_reference]), job
        seen[job.employer_paye_reference] += 1


def _said(job: Job) -> dict[str, object]:
    said = {
        "employer": job.employer_name,
        "is_off_payroll": job.off_payroll_work_flag,
        "pay": job.pay_from_employment,
        "tax": job.tax_taken_off_pay,
    }
    return {name: value for name, value in said.items() if value is not None}
