"""Adds CORS headers for an exact list of allowed origins, never with credentials.

Origins are normalised, so that they can be compared byte by byte. govid does not use Litestar's
CORS, in which an origin is a pattern and `*` matches any part of it.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address

from govid.gateway.http.request_info import RequestInfo

ANY_ORIGIN = "*"
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535


def normalise_origin(text: str) -> str | None:
    """Return *text* as browsers send it in `Origin`, None if it is no origin.

    The result is lower case, without the default port of the scheme and without a trailing slash. A
    text with a path, a query, a user or a wildcard, or without a scheme, is no origin.

    Source: RFC 6454, section 6.2.
    """
    found = _ORIGIN.fullmatch(text.strip().lower())
    if found is None:
        return None
    scheme, host = found["scheme"], found["host"]
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port <= _LAST_PORT:
        return None
    return f"{scheme}://{host}" + ("" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}")


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
        self._allows_any = ANY_ORIGIN in origins
        self._origins = frozenset(
            (normalise_origin(origin) or origin).encode() for origin in origins
        )
        self._is_off = not origins

    def response_headers(self, info: RequestInfo) -> Headers:
        """Return the CORS headers to add to an answer."""
        if self._is_off:
            return []
        if info.origin is None or not self._allows(info.origin):
            return [] if self._allows_any else [_VARY]
        if self._allows_any:
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
        return self._allows_any or origin in self._origins
