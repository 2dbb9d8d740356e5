"""Which browsers' origins may call, told in headers. Exact origins only, and never credentials.

govid's own, not Litestar's: there an origin is a pattern, in which `*` matches anything.
"""

from collections.abc import Sequence

from govid.gateway.exchange import Exchange
from govid.gateway.origins import ANY, normal_origin

Headers = list[tuple[bytes, bytes]]

_EXPOSED = (
    b"access-control-expose-headers",
    b"X-Correlation-ID, X-Process-Time-Ms, Link, Location, ETag, Retry-After, WWW-Authenticate",
)
_VARY = (b"vary", b"Origin")
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, X-Correlation-ID, traceparent, If-Match, Idempotency-Key",
    ),
    (b"access-control-max-age", b"600"),
]


class Cors:
    """The origins of one process."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Allow *origins*, compared in their normal form; `*` allows any."""
        self._any = ANY in origins
        self._origins = frozenset((normal_origin(origin) or origin).encode() for origin in origins)
        self._silent = not origins

    def headers(self, exchange: Exchange) -> Headers:
        """Return what to add to an answer."""
        if self._silent:
            return []
        if exchange.origin is None or not self._allows(exchange.origin):
            return [] if self._any else [_VARY]
        if self._any:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        return [(b"access-control-allow-origin", exchange.origin), _EXPOSED, _VARY]

    def preflight(self, exchange: Exchange) -> Headers | None:
        """Return the headers of the answer to a preflight, or None if this is none of ours."""
        if self._silent or exchange.method != "OPTIONS" or exchange.wanted_method is None:
            return None
        if exchange.origin is None or not self._allows(exchange.origin):
            return []
        return _PREFLIGHT

    def _allows(self, origin: bytes) -> bool:
        return self._any or origin in self._origins
