"""Holds the parsed head of a request with its correlation id until the request is answered."""

import random
import re
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from urllib.parse import unquote

from govid.bus import DeferredAccessEvent
from govid.bus.events.masking import mask_text

SCOPE_KEY = "govid.exchange"
"""The key of the request's `RequestInfo` in its ASGI scope."""

USER_AGENT_LENGTH = 256
PATH_LENGTH = 256
"""A longer path is cut in log lines and problem documents; every route of govid is shorter."""
PATH_BYTES = 2048
"""How much of a path is scanned for personal data; a longer target is refused with 414."""

# Request ids are no secrets: they must be unique, not unguessable.
_bits = random.Random().getrandbits  # noqa: S311
_LENGTH_DIGITS = 19
_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    r"\ud800-\udfff]"
)
_SUSPICIOUS = re.compile(r"[0-9]{3}|[@%]|eyJ")
"""A part of every identifier, address and token; few paths of govid contain one."""


class RequestInfo:
    """What the edge knows about one request, stored in its ASGI scope.

    The headers are read once, here: building a framework's header object per request would cost
    more than everything else that the edge does.
    """

    __slots__ = (
        "authorization",
        "awaits_permission",
        "client_ip",
        "content_encoding",
        "content_length",
        "correlation_id",
        "deferred_access_event",
        "has_body",
        "header_bytes",
        "host",
        "method",
        "origin",
        "path",
        "query",
        "raw_path",
        "request_id",
        "requested_method",
        "route",
        "started",
        "status",
        "target_bytes",
        "traceparent",
        "user_agent",
        "user_id",
    )

    def __init__(self, scope: Any) -> None:
        """Read the head of the request from the ASGI *scope*."""
        self.started = perf_counter()
        self.method: str = scope["method"]
        self.raw_path = raw_path = scope.get("raw_path") or scope["path"].encode()
        """The path as it was sent: not decoded, without the query."""
        self.path = escape_unprintable(raw_path[:PATH_BYTES].decode("latin-1"))
        if _SUSPICIOUS.search(self.path):
            # The path goes into log lines and problem documents, which hold nothing personal (I9).
            decoded = unquote(self.path)
            if (masked := mask_text(decoded)) != decoded:
                self.path = escape_unprintable(masked)
        # Cut only after masking: half an identifier would no longer be recognised.
        self.path = self.path[:PATH_LENGTH]
        self.query: bytes = scope["query_string"]
        self.target_bytes = len(raw_path) + len(self.query)
        client = scope.get("client")
        self.client_ip: str | None = client[0] if client else None
        self.status = 0
        self.route: str | None = None
        self.user_id: str | None = None
        self.deferred_access_event: DeferredAccessEvent | None = None
        self.request_id = self.correlation_id = f"{_bits(128):032x}"
        self._read(scope["headers"])

    def _read(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Read the relevant headers; ASGI servers give their names in lower case."""
        named = dict(headers)
        self.header_bytes = sum([len(name) + len(value) for name, value in headers])
        self.authorization = named.get(b"authorization")
        self.host = named.get(b"host")
        if len(named) != len(headers):
            # If one of these is given twice, neither value is believed.
            if _is_repeated(b"authorization", headers):
                self.authorization = b""
            if _is_repeated(b"host", headers):
                self.host = None
        agent = named.get(b"user-agent")
        self.user_agent = (
            escape_unprintable(agent[:USER_AGENT_LENGTH].decode("latin-1")) if agent else None
        )
        correlation_id = named.get(b"x-correlation-id")
        if correlation_id is not None and _CORRELATION_ID.fullmatch(correlation_id):
            self.correlation_id = correlation_id.decode()
        trace = named.get(b"traceparent")
        self.traceparent = trace.decode() if trace and _TRACEPARENT.fullmatch(trace) else None
        length = named.get(b"content-length")
        # Python refuses to parse a number of thousands of digits.
        counted = length is not None and len(length) <= _LENGTH_DIGITS and length.isdigit()
        self.content_length = int(length) if counted and length else None
        self.has_body = bool(self.content_length) or b"transfer-encoding" in named
        self.awaits_permission = b"expect" in named
        self.content_encoding = named.get(b"content-encoding")
        self.origin = named.get(b"origin")
        self.requested_method = named.get(b"access-control-request-method")


def _is_repeated(wanted: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return sum(name == wanted for name, _ in headers) > 1


def escape_unprintable(text: str) -> str:
    """Escape every character of *text* that could forge a log line or reverse its direction."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def get_request_info(scope: Any) -> RequestInfo:
    """Return the object that the edge stored in *scope*."""
    found: RequestInfo = scope[SCOPE_KEY]
    return found
