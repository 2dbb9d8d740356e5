"""Routes of sessions: begin, refresh, list and end."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body, FromPath

from govid.bus import DEFAULT_LIMIT, OperationContext, Principal
from govid.bus.shared.api import PageCursor, PageLimit, describe_response
from govid.identity import openapi_examples
from govid.identity.credentials.login import PasswordLogin
from govid.identity.schemas import GrantView, Login, Refresh, SessionView
from govid.identity.sessions.issuing import RefreshTokenRotation
from govid.identity.sessions.management import SessionListing, SessionRevoker


@post(
    "/sessions",
    status_code=201,
    public="the route that begins a session cannot require one",
    refuses=("401", "403", "429"),
    summary="Begin a session with a refresh token",
    description=(
        "Signs in as `POST /api/auth/login` does. Issues an access token and a refresh token."
    ),
    responses={
        201: describe_response(GrantView, "The tokens of the session.", openapi_examples.GRANTS)
    },
)
async def begin_session(
    data: Annotated[Login, Body(examples=openapi_examples.LOGINS)],
    password_login: NamedDependency[PasswordLogin],
    context: NamedDependency[OperationContext],
) -> GrantView:
    return await password_login.login_refreshable(data, context)


@post(
    "/refresh",
    status_code=200,
    public="the refresh token authenticates the request",
    refuses=("401",),
    summary="Renew your session",
    description=(
        "Each refresh token can be used once: keep the new one, and do not send two requests at "
        "the same time. A token that is used again ends the session, because it may be stolen."
    ),
    responses={200: describe_response(GrantView, "The new tokens.", openapi_examples.GRANTS)},
)
async def refresh(
    data: Annotated[Refresh, Body(examples=openapi_examples.REFRESHES)],
    rotation: NamedDependency[RefreshTokenRotation],
    context: NamedDependency[OperationContext],
) -> GrantView:
    return await rotation.rotate(data, context)


@post(
    "/logout",
    status_code=204,
    permission="identity.session.end",
    summary="Sign out",
    description="Ends the session of this request. Its tokens are no longer valid.",
)
async def logout(
    revoker: NamedDependency[SessionRevoker],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await revoker.logout(principal, context)


@post(
    "/logout-all",
    status_code=204,
    permission="identity.session.end",
    summary="Sign out everywhere",
    description="Ends every session of your account, including this one.",
)
async def logout_all(
    revoker: NamedDependency[SessionRevoker],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await revoker.logout_all(principal, context)


@get(
    "/sessions",
    permission="identity.session.list",
    summary="List your sessions",
    description="Oldest first. A `Link` header has the next page, if there is one.",
    responses={
        200: describe_response(list[SessionView], "Your sessions.", openapi_examples.SESSION_LISTS)
    },
)
async def list_sessions(
    request: Request[Any, Any, Any],
    sessions: NamedDependency[SessionListing],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: PageCursor = None,
) -> Response[list[SessionView]]:
    page = await sessions.list_own(principal, context, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@delete(
    "/sessions/{session_id:uuid}",
    permission="identity.session.end",
    refuses=("404",),
    summary="End one of your sessions",
    description="Responds as if the session did not exist if it belongs to another account.",
)
async def end_session(
    session_id: FromPath[UUID],
    revoker: NamedDependency[SessionRevoker],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await revoker.revoke_other(principal, session_id, context)


def session_router(
    password_login: PasswordLogin,
    rotation: RefreshTokenRotation,
    revoker: SessionRevoker,
    sessions: SessionListing,
) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[
            begin_session,
            refresh,
            logout,
            logout_all,
            list_sessions,
            end_session,
        ],
        dependencies={
            "password_login": Provide(lambda: password_login, sync_to_thread=False),
            "rotation": Provide(lambda: rotation, sync_to_thread=False),
            "revoker": Provide(lambda: revoker, sync_to_thread=False),
            "sessions": Provide(lambda: sessions, sync_to_thread=False),
        },
        tags=["identity"],
    )
