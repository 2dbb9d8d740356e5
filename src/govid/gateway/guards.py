"""Who may come in: the token identifies, the database decides, each decision is recorded.

A guard and no middleware: it runs after routing, so it knows what the route demands. A route that
demands nothing must say why (`public="..."`), or govid does not start (I8).
"""

from collections.abc import Awaitable, Iterable
from typing import Any, Protocol

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import BaseRoute

from govid.bus import Clock, GovidError, Kind, Principal, Witness
from govid.bus.contracts import AccessDecided
from govid.gateway.exchange import Exchange, exchange_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = b"bearer "


class AuthenticationRequired(GovidError):
    """A bearer token is needed here."""

    code = "authentication-required"
    kind = Kind.UNAUTHENTICATED


class AccessLog(Protocol):
    """Takes decisions that no transaction carries."""

    def access(self, event: AccessDecided) -> None:
        """Send *event* to the access topic, at once."""


class Authenticate(Protocol):
    """Finds out who a token stands for."""

    def __call__(self, token: str) -> Awaitable[Principal]:
        """Return the principal of *token*, read from the database for this request."""


class Gatekeeper:
    """The one guard of the application."""

    def __init__(self, authenticate: Authenticate, logs: AccessLog, clock: Clock) -> None:
        """Ask *authenticate* who a token stands for; tell *logs* what was decided."""
        self._authenticate = authenticate
        self._logs = logs
        self._clock = clock

    async def guard(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Let the request pass, or refuse it."""
        if "permission" not in handler.opt:
            return
        exchange = exchange_of(connection.scope)
        try:
            principal = await self._authenticate(_token(exchange))
        except GovidError as refusal:
            self._logs.access(self._decision(exchange, error=refusal.code))
            raise
        connection.scope["user"] = principal
        exchange.user_id = str(principal.account_id)
        decision = self._decision(exchange)
        if exchange.method in SAFE_METHODS:
            self._logs.access(decision)
        else:
            # The record of a decision to let somebody write commits with what they write.
            exchange.witness = Witness(decision)

    def _decision(self, exchange: Exchange, error: str | None = None) -> AccessDecided:
        return AccessDecided(
            timestamp=self._clock.now(),
            resource=f"{exchange.method} {exchange.path}",
            granted=error is None,
            error=error,
            user_id=exchange.user_id,
            correlation_id=exchange.correlation_id,
        )


def unguarded(routes: Iterable[BaseRoute]) -> list[str]:
    """Return the routes that carry neither a permission nor the reason why they are public (I8).

    The framework's own answers to OPTIONS tell methods only, and carry nothing.
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


def _token(exchange: Exchange) -> str:
    header = exchange.authorization
    if header is None or header[: len(_BEARER)].lower() != _BEARER:
        raise AuthenticationRequired
    return header[len(_BEARER) :].strip().decode("latin-1")
