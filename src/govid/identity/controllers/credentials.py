"""Route of login."""

from typing import Annotated

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import OperationContext
from govid.bus.routes import describe_response
from govid.identity import examples
from govid.identity.credentials.login import SignIn
from govid.identity.schemas import Login, TokenView


@post(
    "/login",
    status_code=200,
    public="the route that issues a token cannot require one",
    summary="Sign in",
    refuses=("401", "403", "429"),
    description="The response is the same for an unknown address and for a wrong password.",
    responses={200: describe_response(TokenView, "The access token.", examples.TOKENS)},
)
async def login(
    data: Annotated[Login, Body(examples=examples.LOGINS)],
    sign_in: NamedDependency[SignIn],
    cause: NamedDependency[OperationContext],
) -> TokenView:
    return await sign_in.login(data, cause)


def login_router(sign_in: SignIn) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[login],
        dependencies={"sign_in": Provide(lambda: sign_in, sync_to_thread=False)},
        tags=["identity"],
    )
