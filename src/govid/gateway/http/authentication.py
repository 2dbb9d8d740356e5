"""Authenticates requests by bearer token and records each access decision.

The database decides about a token in each request. This is a guard and not a middleware, because a
guard runs after routing and knows which permission the route requires. A route without a permission
must state why it is public (`public="..."`); otherwise govid does not start (I8).
"""

from collections.abc import Awaitable, Iterable
from typing import Any, Protocol

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import BaseRoute

from govid.bus import Clock, DeferredAccessEvent, ErrorKind, GovidError, Principal
from govid.bus.events import AccessDecided
from govid.gateway.http.request_info import RequestInfo, get_request_info

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = b"bearer "


class AuthenticationRequired(GovidError):
    """A bearer token is needed here."""

    code = "authentication-required"
    kind = ErrorKind.UNAUTHENTICATED


class AccessLog(Protocol):
    """Records access decisions that are not written in a transaction."""

    def publish_access(self, event: AccessDecided) -> None:
        """Publish *event* to the access topic and return at once."""


class TokenAuthenticator(Protocol):
    """Authenticates the bearer of an access token."""

    def __call__(self, token: str) -> Awaitable[Principal]:
        """Return the principal of *token*, read from the database for this request."""


class AuthenticationGuard:
    """The guard that authenticates every request to a route with a permission."""

    def __init__(self, authenticate: TokenAuthenticator, logs: AccessLog, clock: Clock) -> None:
        """Authenticate tokens by *authenticate* and record decisions in *logs*."""
        self._authenticate = authenticate
        self._logs = logs
        self._clock = clock

    async def check(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Store the principal in the scope, or raise the error that refuses the request."""
        if "permission" not in handler.opt:
            return
        info = get_request_info(connection.scope)
        try:
            principal = await self._authenticate(_parse_bearer_token(info))
        except GovidError as refusal:
            self._logs.publish_access(self._build_decision(info, error=refusal.code))
            raise
        connection.scope["user"] = principal
        info.user_id = str(principal.account_id)
        decision = self._build_decision(info)
        if info.method in SAFE_METHODS:
            self._logs.publish_access(decision)
        else:
            # The record of a granted write commits in the transaction of that write.
            info.deferred_access_event = DeferredAccessEvent(decision)

    def _build_decision(self, info: RequestInfo, error: str | None = None) -> AccessDecided:
        return AccessDecided(
            timestamp=self._clock.now(),
            resource=f"{info.method} {info.path}",
            granted=error is None,
            error=error,
            user_id=info.user_id,
            correlation_id=info.correlation_id,
        )


def find_unguarded_routes(routes: Iterable[BaseRoute]) -> list[str]:
    """Return the routes that carry neither a permission nor the reason why they are public (I8).

    The framework's own answers to OPTIONS are exempt: they list the methods and nothing else.
    """
    return [
        f"{' '.join(sorted(route.methods))} {route.path}"
        for route in routes
        for handler in _handlers(route)
        if not {"permission", "public"} & handler.opt.keys()
        and getattr(handler, "http_methods", set()) != {"OPTIONS"}
    ]


def _handlers(route: Any) -> list[BaseRouteHandler]:
    return list(getattr(route, "route_handlers", None) or [route.route_handler])


def _parse_bearer_token(info: RequestInfo) -> str:
    header = info.authorization
    if header is None or header[: len(_BEARER)].lower() != _BEARER:
        raise AuthenticationRequired
    return header[len(_BEARER) :].strip().decode("latin-1")
