"""The routes of credentials: what proves who somebody is."""

from typing import Annotated

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import Cause
from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.credentials.login import SignIn
from govid.identity.schemas import Login, TokenView


@post(
    "/login",
    status_code=200,
    public="this is where a token comes from",
    summary="Sign in",
    refuses=("401", "403", "429"),
    description="An unknown address and a wrong password get one and the same answer.",
    responses={200: answer_of(TokenView, "Signed in.", examples.TOKENS)},
)
async def login(
    data: Annotated[Login, Body(examples=examples.LOGINS)],
    sign_in: NamedDependency[SignIn],
    cause: NamedDependency[Cause],
) -> TokenView:
    return await sign_in.login(data, cause)


def router(sign_in: SignIn) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[login],
        dependencies={"sign_in": Provide(lambda: sign_in, sync_to_thread=False)},
        tags=["identity"],
    )
