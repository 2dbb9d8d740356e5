"""Routes of the tax records that citizens file."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from govid.bus import DEFAULT_LIMIT, OperationContext, Principal
from govid.bus.routes import PageCursor, PageLimit, describe_response
from govid.hmrc.examples import TAX_RECORD_LISTS, TAX_RECORD_REQUESTS, TAX_RECORDS
from govid.hmrc.schemas import FileTaxRecord, TaxRecordView
from govid.hmrc.tax_records import TaxRecordFiling


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
    cause: NamedDependency[OperationContext],
) -> TaxRecordView:
    return await filing.file(data, principal, cause)


@delete(
    "/tax-records/{record_id:uuid}",
    permission="hmrc.tax_record.remove",
    summary="Remove a tax record that you filed",
)
async def remove_tax_record(
    record_id: FromPath[UUID],
    filing: NamedDependency[TaxRecordFiling],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> None:
    await filing.remove(record_id, principal, cause)


FILED_RECORD_ROUTES = (list_tax_records, file_tax_record, remove_tax_record)
