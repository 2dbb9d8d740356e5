"""What the edge knows about one request, and carries beside it until it is answered."""

import random
import re
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from urllib.parse import unquote

from govid.bus import Witness
from govid.bus.masking import scrubbed

KEY = "govid.exchange"
"""Where an exchange stands in an ASGI scope."""

USER_AGENT_LENGTH = 256
PATH_LENGTH = 256
"""How much of a path is repeated, in lines and in refusals: more than any route of ours has."""
PATH_BYTES = 2048
"""How much of it is looked at: whoever sends more is refused for that."""

# Names of requests, not secrets: they must differ, nobody must be unable to guess them.
_bits = random.Random().getrandbits  # noqa: S311
_LENGTH_DIGITS = 19
_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    r"\ud800-\udfff]"
)
_TELLING = re.compile(r"[0-9]{3}|[@%]|eyJ")
"""What every identifier, address and token has somewhere, and few paths of ours."""


class Exchange:
    """One request on its way through govid.

    The headers are walked once, here: building a framework's header object per request would cost
    more than everything else that the edge does.
    """

    __slots__ = (
        "authorization",
        "awaits_permission",
        "client_ip",
        "content_encoding",
        "content_length",
        "correlation_id",
        "has_body",
        "header_bytes",
        "host",
        "method",
        "origin",
        "path",
        "query",
        "raw_path",
        "request_id",
        "route",
        "started",
        "status",
        "target_bytes",
        "traceparent",
        "user_agent",
        "user_id",
        "wanted_method",
        "witness",
    )

    def __init__(self, scope: Any) -> None:
        """Read what is needed of the ASGI *scope*."""
        self.started = perf_counter()
        self.method: str = scope["method"]
        self.raw_path = raw_path = scope.get("raw_path") or scope["path"].encode()
        """As it was sent, before anything was decoded, without the query."""
        self.path = printable(raw_path[:PATH_BYTES].decode("latin-1"))
        if _TELLING.search(self.path):
            # What a client made up goes into log lines and refusals, and nothing personal may (I9).
            meant = unquote(self.path)
            if (hidden := scrubbed(meant)) != meant:
                self.path = printable(hidden)
        # After what is personal was hidden: half an identifier has not its shape any more.
        self.path = self.path[:PATH_LENGTH]
        self.query: bytes = scope["query_string"]
        self.target_bytes = len(raw_path) + len(self.query)
        client = scope.get("client")
        self.client_ip: str | None = client[0] if client else None
        self.status = 0
        self.route: str | None = None
        self.user_id: str | None = None
        self.witness: Witness | None = None
        self.request_id = self.correlation_id = f"{_bits(128):032x}"
        self._read(scope["headers"])

    def _read(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Take what matters from the headers, whose names ASGI servers give in lower case."""
        named = dict(headers)
        self.header_bytes = sum([len(name) + len(value) for name, value in headers])
        self.authorization = named.get(b"authorization")
        self.host = named.get(b"host")
        if len(named) != len(headers):
            # Two of these are one too many: neither is believed.
            if _stands_twice(b"authorization", headers):
                self.authorization = b""
            if _stands_twice(b"host", headers):
                self.host = None
        agent = named.get(b"user-agent")
        self.user_agent = printable(agent[:USER_AGENT_LENGTH].decode("latin-1")) if agent else None
        correlation_id = named.get(b"x-correlation-id")
        if correlation_id is not None and _CORRELATION_ID.fullmatch(correlation_id):
            self.correlation_id = correlation_id.decode()
        trace = named.get(b"traceparent")
        self.traceparent = trace.decode() if trace and _TRACEPARENT.fullmatch(trace) else None
        length = named.get(b"content-length")
        # A length of thousands of digits is no number that Python would read.
        counted = length is not None and len(length) <= _LENGTH_DIGITS and length.isdigit()
        self.content_length = int(length) if counted and length else None
        self.has_body = bool(self.content_length) or b"transfer-encoding" in named
        self.awaits_permission = b"expect" in named
        self.content_encoding = named.get(b"content-encoding")
        self.origin = named.get(b"origin")
        self.wanted_method = named.get(b"access-control-request-method")


def _stands_twice(wanted: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return sum(name == wanted for name, _ in headers) > 1


def printable(text: str) -> str:
    """Return *text* with everything escaped that could forge a line or turn it round."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def exchange_of(scope: Any) -> Exchange:
    """Return the exchange that the edge put into *scope*."""
    found: Exchange = scope[KEY]
    return found
