"""Routes of accounts: registration, profile, verification retry, data export and closure."""

from typing import Annotated

from litestar import Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body
from litestar.response import Stream

from govid.bus import OperationContext, Principal
from govid.bus.shared.api import describe_response
from govid.identity import openapi_examples
from govid.identity.accounts.data_rights import AccountClosure, DataExport
from govid.identity.accounts.registration import Registration
from govid.identity.schemas import CloseAccount, ExportView, Register, UserView, Verify
from govid.identity.verification.requests import VerificationRetry


@post(
    "/register",
    status_code=201,
    public="there is no token before there is an account",
    summary="Register an account",
    refuses=("429",),
    description="The account is `pending_verification` until its department has responded.",
    responses={201: describe_response(UserView, "The new account.", openapi_examples.USERS)},
)
async def register(
    data: Annotated[Register, Body(examples=openapi_examples.REGISTRATIONS)],
    registration: NamedDependency[Registration],
    context: NamedDependency[OperationContext],
) -> UserView:
    return await registration.register(data, context)


@get(
    "/profile",
    permission="identity.profile.read",
    summary="Get your account",
    sync_to_thread=False,
    responses={200: describe_response(UserView, "Your account.", openapi_examples.USERS)},
)
def profile(principal: NamedDependency[Principal]) -> UserView:
    # The principal was read to authenticate the request, so there is no second query.
    return UserView.from_principal(principal)


def account_router(registration: Registration) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[register, profile],
        dependencies={"registration": Provide(lambda: registration, sync_to_thread=False)},
        tags=["identity"],
    )


@post(
    "/verification",
    status_code=202,
    permission="identity.verification.request",
    refuses=("400", "403", "429"),
    summary="Request verification of your account",
    description=(
        "For an account whose verification failed, or whose department has too little data. There "
        "are two attempts for each account and each identifier, including the one at registration; "
        "the third is refused as `attempts-exhausted`. An unavailable department uses no attempt."
    ),
    responses={
        202: describe_response(UserView, "Verification is requested.", openapi_examples.USERS)
    },
)
async def verify(
    data: Annotated[Verify, Body(examples=openapi_examples.VERIFICATIONS)],
    retry: NamedDependency[VerificationRetry],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> UserView:
    return await retry.start(data, principal, context)


def verification_router(retry: VerificationRetry) -> Router:
    """Return the route, with the use case behind it."""
    return Router(
        "/api/auth",
        route_handlers=[verify],
        dependencies={"retry": Provide(lambda: retry, sync_to_thread=False)},
        tags=["identity"],
    )


@get(
    "/export",
    permission="identity.data.export",
    refuses=("429",),
    summary="Export all data about you",
    responses={
        200: describe_response(ExportView, "All data about the account.", openapi_examples.EXPORTS)
    },
)
async def export_data(
    export: NamedDependency[DataExport],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> Stream:
    return Stream(await export.start(principal, context), media_type="application/json")


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
    data: Annotated[CloseAccount, Body(examples=openapi_examples.CLOSURES)],
    closure: NamedDependency[AccountClosure],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await closure.close(data.password, principal, context)


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
