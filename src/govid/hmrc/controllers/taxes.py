"""Routes of tax records at HMRC."""

from datetime import date
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.hmrc.examples import TAX_ACCOUNTS, TAX_SUMMARIES
from govid.hmrc.schemas import TaxAccountView, TaxSummaryView
from govid.hmrc.tax_reading import TaxRecordReader


@get(
    "/tax-records/{tax_year:str}",
    permission="hmrc.tax_record.read",
    refuses=("403",),
    summary="Show a tax year from HMRC",
    description="A year is written like `2024-25` or `2024-2025`. Null means that HMRC has no "
    "data, which is not zero; without any data the answer is 404. Requires your consent.",
    responses={200: describe_response(TaxSummaryView, "Your tax year.", TAX_SUMMARIES)},
)
async def show_tax_year(
    tax_year: FromPath[str],
    reading: NamedDependency[TaxRecordReader],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> TaxSummaryView:
    return await reading.read_summary(tax_year, principal, cause)


@get(
    "/tax-account",
    permission="hmrc.tax_account.read",
    refuses=("403", "404"),
    summary="Show your Self Assessment account from HMRC",
    description="The balance, and the entries since a day. Requires your consent.",
    responses={200: describe_response(TaxAccountView, "Your account.", TAX_ACCOUNTS)},
)
async def show_tax_account(
    since: Annotated[date, QueryParameter(description="Such as `2024-04-06`.")],
    reading: NamedDependency[TaxRecordReader],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> TaxAccountView:
    return await reading.read_account(since, principal, cause)


HMRC_RECORD_ROUTES = (show_tax_year, show_tax_account)
