"""Routes of data rights: data export and account closure."""

from typing import Annotated

from litestar import Router, delete, get
from litestar.di import NamedDependency, Provide
from litestar.params import Body
from litestar.response import Stream

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.identity import examples
from govid.identity.accounts.closure import AccountClosure
from govid.identity.accounts.export import DataExport
from govid.identity.schemas import CloseAccount, ExportView


@get(
    "/export",
    permission="identity.data.export",
    refuses=("429",),
    summary="Export all data about you",
    responses={200: describe_response(ExportView, "All data about the account.", examples.EXPORTS)},
)
async def export_data(
    export: NamedDependency[DataExport],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> Stream:
    return Stream(await export.start(principal, cause), media_type="application/json")


@delete(
    "/account",
    status_code=204,
    permission="identity.account.close",
    refuses=("403", "429"),
    summary="Close your account permanently",
    description=(
        "Erases the password and personal data, and ends every session. The address can be "
        "used again at once, the identifier after a time. Future appointments are cancelled."
    ),
)
async def close_account(
    data: Annotated[CloseAccount, Body(examples=examples.CLOSURES)],
    closure: NamedDependency[AccountClosure],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> None:
    await closure.close(data.password, principal, cause)


def data_rights_router(export: DataExport, closure: AccountClosure) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[export_data, close_account],
        dependencies={
            "export": Provide(lambda: export, sync_to_thread=False),
            "closure": Provide(lambda: closure, sync_to_thread=False),
        },
        tags=["identity"],
    )
