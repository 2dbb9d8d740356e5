"""Adds CORS headers for an exact list of allowed origins, never with credentials.

govid does not use Litestar's CORS, in which an origin is a pattern and `*` matches any part of it.
"""

from collections.abc import Sequence

from govid.gateway.exchange import RequestInfo
from govid.gateway.origins import ANY_ORIGIN, normalise_origin

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


class CorsPolicy:
    """The CORS policy of one process: the origins from which browsers may call."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Allow *origins*, compared in their normal form; `*` allows any."""
        self._any = ANY_ORIGIN in origins
        self._origins = frozenset(
            (normalise_origin(origin) or origin).encode() for origin in origins
        )
        self._is_off = not origins

    def response_headers(self, info: RequestInfo) -> Headers:
        """Return the CORS headers to add to an answer."""
        if self._is_off:
            return []
        if info.origin is None or not self._allows(info.origin):
            return [] if self._any else [_VARY]
        if self._any:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        return [(b"access-control-allow-origin", info.origin), _EXPOSED, _VARY]

    def preflight_headers(self, info: RequestInfo) -> Headers | None:
        """Return the headers of the answer to a CORS preflight, None if this is no preflight."""
        if self._is_off or info.method != "OPTIONS" or info.requested_method is None:
            return None
        if info.origin is None or not self._allows(info.origin):
            return []
        return _PREFLIGHT

    def _allows(self, origin: bytes) -> bool:
        return self._any or origin in self._origins
