"""The routes of sessions: beginning, renewing, listing and ending them."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body, FromPath, QueryParameter

from govid.bus import DEFAULT_LIMIT, MAX_LIMIT, Cause, Principal
from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.credentials.login import SignIn
from govid.identity.schemas import GrantView, Login, Refresh, SessionView
from govid.identity.sessions.ending import Ending
from govid.identity.sessions.listing import OwnSessions
from govid.identity.sessions.refresh import Renewal

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Sessions on a page.")]
Cursor = Annotated[
    UUID | None, QueryParameter(description="Where the page begins, as the `Link` header has it.")
]


@post(
    "/sessions",
    status_code=201,
    public="this is where a session comes from",
    refuses=("401", "403", "429"),
    summary="Begin a session that can be renewed",
    description="Signs in as `POST /api/auth/login` does, for a short token and a refresh token.",
    responses={201: answer_of(GrantView, "Signed in.", examples.GRANTS)},
)
async def begin_session(
    data: Annotated[Login, Body(examples=examples.LOGINS)],
    sign_in: NamedDependency[SignIn],
    cause: NamedDependency[Cause],
) -> GrantView:
    return await sign_in.begin(data, cause)


@post(
    "/refresh",
    status_code=200,
    public="the refresh token is the proof",
    refuses=("401",),
    summary="Renew your session",
    description=(
        "Each refresh token is good for once: keep the new one, and send no two requests at a "
        "time. One that is used again ends the session, as somebody else may hold it."
    ),
    responses={200: answer_of(GrantView, "Renewed.", examples.GRANTS)},
)
async def refresh(
    data: Annotated[Refresh, Body(examples=examples.REFRESHES)],
    renewal: NamedDependency[Renewal],
    cause: NamedDependency[Cause],
) -> GrantView:
    return await renewal.renew(data, cause)


@post(
    "/logout",
    status_code=204,
    permission="identity.session.end",
    summary="Sign out",
    description="Ends the session of this request; its tokens are worth nothing from now on.",
)
async def logout(
    ending: NamedDependency[Ending],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await ending.logout(principal, cause)


@post(
    "/logout-all",
    status_code=204,
    permission="identity.session.end",
    summary="Sign out everywhere",
    description="Ends every session of your account, this one too.",
)
async def logout_all(
    ending: NamedDependency[Ending],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await ending.logout_all(principal, cause)


@get(
    "/sessions",
    permission="identity.session.list",
    summary="See where you are signed in",
    description="The oldest first. A `Link` header leads to the next page, if there is one.",
    responses={200: answer_of(list[SessionView], "Yours.", examples.SESSION_LISTS)},
)
async def list_sessions(
    request: Request[Any, Any, Any],
    sessions: NamedDependency[OwnSessions],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[list[SessionView]]:
    page = await sessions.own(principal, cause, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@delete(
    "/sessions/{session_id:uuid}",
    permission="identity.session.end",
    refuses=("404",),
    summary="End one of your sessions",
    description="Another person's session is answered like one that does not exist.",
)
async def end_session(
    session_id: FromPath[UUID],
    ending: NamedDependency[Ending],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await ending.end(principal, session_id, cause)


def router(sign_in: SignIn, renewal: Renewal, ending: Ending, sessions: OwnSessions) -> Router:
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
            "sign_in": Provide(lambda: sign_in, sync_to_thread=False),
            "renewal": Provide(lambda: renewal, sync_to_thread=False),
            "ending": Provide(lambda: ending, sync_to_thread=False),
            "sessions": Provide(lambda: sessions, sync_to_thread=False),
        },
        tags=["identity"],
    )
