"""Routes of the HMRC module: filed tax records, consent, and tax records at HMRC."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import Body, FromPath, QueryParameter

from govid.bus import DEFAULT_LIMIT, OperationContext, Principal
from govid.bus.shared.api import PageCursor, PageLimit, describe_response
from govid.hmrc.consent import TaxConsentService
from govid.hmrc.openapi_examples import (
    CONSENT_REQUESTS,
    CONSENTS,
    CONSENTS_BEGUN,
    TAX_ACCOUNTS,
    TAX_RECORD_LISTS,
    TAX_RECORD_REQUESTS,
    TAX_RECORDS,
    TAX_SUMMARIES,
)
from govid.hmrc.schemas import (
    ConsentBegunView,
    ConsentView,
    FileTaxRecord,
    GrantConsent,
    TaxAccountView,
    TaxRecordView,
    TaxSummaryView,
)
from govid.hmrc.tax_records import TaxRecordFiling, TaxRecordReader

__all__ = ["router", "simulated_pages"]


@post(
    "/consent",
    status_code=201,
    permission="hmrc.consent.begin",
    refuses=("403", "429"),
    summary="Start consent to read your tax records",
    description="Send the citizen's browser to the address. HMRC sends it back to your own page, "
    "with a code and a state. A consent that was started before can no longer be completed.",
    responses={201: describe_response(ConsentBegunView, "Consent was started.", CONSENTS_BEGUN)},
)
async def begin_consent(
    consent: NamedDependency[TaxConsentService],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> ConsentBegunView:
    return await consent.start(principal, context)


@put(
    "/consent",
    permission="hmrc.consent.grant",
    refuses=("403", "409"),
    summary="Grant consent with the code from HMRC",
    description="Use the access token of the citizen who started the consent; the code is not "
    "valid for any other account.",
    responses={200: describe_response(ConsentView, "Consent was granted.", CONSENTS)},
)
async def grant_consent(
    data: Annotated[GrantConsent, Body(examples=CONSENT_REQUESTS)],
    consent: NamedDependency[TaxConsentService],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> ConsentView:
    return await consent.grant(data, principal, context)


@get(
    "/consent",
    permission="hmrc.consent.read",
    summary="Show the status of your consent",
    description="A consent that has lapsed has to be given again.",
    responses={200: describe_response(ConsentView, "The status of your consent.", CONSENTS)},
)
async def show_consent(
    consent: NamedDependency[TaxConsentService], principal: NamedDependency[Principal]
) -> ConsentView:
    return await consent.get_status(principal)


@delete(
    "/consent",
    permission="hmrc.consent.withdraw",
    summary="Withdraw your consent",
    description="Your consent tokens are deleted here. At HMRC, your permission stays valid until "
    "it ends or you withdraw it in your tax account.",
)
async def withdraw_consent(
    consent: NamedDependency[TaxConsentService],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await consent.withdraw(principal, context)


CONSENT_ROUTES = (begin_consent, grant_consent, show_consent, withdraw_consent)


@get(
    "/tax-records",
    permission="hmrc.tax_record.list",
    summary="List your own tax records",
    description="In order of filing. A `Link` header leads to the next page, if there is one.",
    responses={200: describe_response(list[TaxRecordView], "Your tax records.", TAX_RECORD_LISTS)},
)
async def list_tax_records(
    request: Request[Any, Any, Any],
    filing: NamedDependency[TaxRecordFiling],
    principal: NamedDependency[Principal],
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: PageCursor = None,
) -> Response[list[TaxRecordView]]:
    page = await filing.list_own(principal, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@post(
    "/tax-records",
    status_code=201,
    permission="hmrc.tax_record.create",
    refuses=("403", "409"),
    summary="File a tax record",
    description="The record belongs to your account, and no other account can see it.",
    responses={201: describe_response(TaxRecordView, "The tax record was filed.", TAX_RECORDS)},
)
async def file_tax_record(
    data: Annotated[FileTaxRecord, Body(examples=TAX_RECORD_REQUESTS)],
    filing: NamedDependency[TaxRecordFiling],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> TaxRecordView:
    return await filing.file(data, principal, context)


@delete(
    "/tax-records/{record_id:uuid}",
    permission="hmrc.tax_record.remove",
    summary="Remove a tax record that you filed",
)
async def remove_tax_record(
    record_id: FromPath[UUID],
    filing: NamedDependency[TaxRecordFiling],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await filing.remove(record_id, principal, context)


FILED_RECORD_ROUTES = (list_tax_records, file_tax_record, remove_tax_record)


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
    context: NamedDependency[OperationContext],
) -> TaxSummaryView:
    return await reading.read_summary(tax_year, principal, context)


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
    context: NamedDependency[OperationContext],
) -> TaxAccountView:
    return await reading.read_account(since, principal, context)


HMRC_RECORD_ROUTES = (show_tax_year, show_tax_account)


PUBLIC = "the simulated HMRC's consent page, which a demonstration uses as a test user"


def router(filing: TaxRecordFiling, consent: TaxConsentService, reading: TaxRecordReader) -> Router:
    """Return the routes."""
    return Router(
        "/api/hmrc",
        route_handlers=[*FILED_RECORD_ROUTES, *CONSENT_ROUTES, *HMRC_RECORD_ROUTES],
        dependencies={
            "filing": Provide(lambda: filing, sync_to_thread=False),
            "consent": Provide(lambda: consent, sync_to_thread=False),
            "reading": Provide(lambda: reading, sync_to_thread=False),
        },
        tags=["hmrc"],
    )


def simulated_pages(path: str, pages: Sequence[Any]) -> Router:
    """Serve the *pages* of an in-process HMRC below *path*, where a browser can reach them."""
    return Router(path, route_handlers=pages, opt={"public": PUBLIC}, include_in_schema=False)
