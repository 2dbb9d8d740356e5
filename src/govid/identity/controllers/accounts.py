"""The routes of accounts: opening one, and seeing one's own."""

from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import Cause, Principal
from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.accounts.registration import Registration
from govid.identity.schemas import Register, UserView


@post(
    "/register",
    status_code=201,
    public="whoever has no account yet cannot have a token",
    summary="Open an account",
    refuses=("429",),
    description="The account waits as `pending_verification` until its department has answered.",
    responses={201: answer_of(UserView, "Opened.", examples.USERS)},
)
async def register(
    data: Annotated[Register, Body(examples=examples.REGISTRATIONS)],
    registration: NamedDependency[Registration],
    cause: NamedDependency[Cause],
) -> UserView:
    return await registration.register(data, cause)


@get(
    "/profile",
    permission="identity.profile.read",
    summary="See your own account",
    sync_to_thread=False,
    responses={200: answer_of(UserView, "Yours.", examples.USERS)},
)
def profile(principal: NamedDependency[Principal]) -> UserView:
    # What authenticated this request is its answer: nothing is asked a second time.
    return UserView.of(principal)


def router(registration: Registration) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[register, profile],
        dependencies={"registration": Provide(lambda: registration, sync_to_thread=False)},
        tags=["identity"],
    )
