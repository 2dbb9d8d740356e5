"""The routes of tax records as HMRC has them: decode, call, return."""

from datetime import date
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from govid.bus import Cause, Principal
from govid.bus.routes import answer_of
from govid.hmrc import examples
from govid.hmrc.schemas import TaxAccountView, TaxSummaryView
from govid.hmrc.tax_reading import TaxReading


@get(
    "/tax-records/{tax_year:str}",
    permission="hmrc.tax_record.read",
    refuses=("403",),
    summary="See a tax year as HMRC has it",
    description="A year is written like `2024-25` or `2024-2025`. What HMRC has no data of is "
    "null, or all of it a 404: that is not zero. Needs your consent.",
    responses={200: answer_of(TaxSummaryView, "Yours.", examples.TAX_SUMMARIES)},
)
async def show_tax_year(
    tax_year: FromPath[str],
    reading: NamedDependency[TaxReading],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> TaxSummaryView:
    return await reading.summary(tax_year, principal, cause)


@get(
    "/tax-account",
    permission="hmrc.tax_account.read",
    refuses=("403", "404"),
    summary="See your Self Assessment account as HMRC has it",
    description="How it stands, and what has happened on it since a day. Needs your consent.",
    responses={200: answer_of(TaxAccountView, "Yours.", examples.TAX_ACCOUNTS)},
)
async def show_tax_account(
    since: Annotated[date, QueryParameter(description="Such as `2024-04-06`.")],
    reading: NamedDependency[TaxReading],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> TaxAccountView:
    return await reading.account(since, principal, cause)


HANDLERS = (show_tax_year, show_tax_account)
