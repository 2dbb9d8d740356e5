"""Routes of accounts: register and read the profile."""

from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.identity import examples
from govid.identity.accounts.registration import Registration
from govid.identity.schemas import Register, UserView


@post(
    "/register",
    status_code=201,
    public="there is no token before there is an account",
    summary="Register an account",
    refuses=("429",),
    description="The account is `pending_verification` until its department has responded.",
    responses={201: describe_response(UserView, "The new account.", examples.USERS)},
)
async def register(
    data: Annotated[Register, Body(examples=examples.REGISTRATIONS)],
    registration: NamedDependency[Registration],
    cause: NamedDependency[OperationContext],
) -> UserView:
    return await registration.register(data, cause)


@get(
    "/profile",
    permission="identity.profile.read",
    summary="Get your account",
    sync_to_thread=False,
    responses={200: describe_response(UserView, "Your account.", examples.USERS)},
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
