"""Routes of the tax records that citizens file."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from govid.bus import DEFAULT_LIMIT, Cause, Principal
from govid.bus.routes import Cursor, Limit, answer_of
from govid.hmrc.examples import TAX_RECORD_LISTS, TAX_RECORD_REQUESTS, TAX_RECORDS
from govid.hmrc.schemas import FileTaxRecord, TaxRecordView
from govid.hmrc.tax_records import TaxFiling


@get(
    "/tax-records",
    permission="hmrc.tax_record.list",
    summary="List your own tax records",
    description="In order of filing. A `Link` header leads to the next page, if there is one.",
    responses={200: answer_of(list[TaxRecordView], "Your tax records.", TAX_RECORD_LISTS)},
)
async def list_tax_records(
    request: Request[Any, Any, Any],
    filing: NamedDependency[TaxFiling],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[list[TaxRecordView]]:
    page = await filing.own(principal, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@post(
    "/tax-records",
    status_code=201,
    permission="hmrc.tax_record.create",
    refuses=("403", "409"),
    summary="File a tax record",
    description="The record belongs to your account, and no other account can see it.",
    responses={201: answer_of(TaxRecordView, "The tax record was filed.", TAX_RECORDS)},
)
async def file_tax_record(
    data: Annotated[FileTaxRecord, Body(examples=TAX_RECORD_REQUESTS)],
    filing: NamedDependency[TaxFiling],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> TaxRecordView:
    return await filing.file(data, principal, cause)


@delete(
    "/tax-records/{record_id:uuid}",
    permission="hmrc.tax_record.remove",
    summary="Remove a tax record that you filed",
)
async def remove_tax_record(
    record_id: FromPath[UUID],
    filing: NamedDependency[TaxFiling],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await filing.remove(record_id, principal, cause)


FILED_RECORD_ROUTES = (list_tax_records, file_tax_record, remove_tax_record)
