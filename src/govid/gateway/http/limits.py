"""Enforces size and time limits of the request head and the request body.

`EdgeMiddleware` calls `check_head`, and then `read_body`, before any handler sees the request.
"""

import asyncio
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from govid.bus import FieldFault, InvalidRequest
from govid.gateway.http.request_info import RequestInfo

MAX_BODY_BYTES = 64 * 1024
"""Largest body of any request; `read_body` refuses a larger one with 413.

A JSON route accepts `json_body.SHORT_BODY_BYTES` (16 KiB) only, unless it declares `long_text`.
"""
MAX_HEADER_BYTES = 16 * 1024
MAX_TARGET_BYTES = 2048
MAX_DISCARDED_BYTES = 8 * 1024 * 1024
"""How much of a body that is too large is read and dropped before the connection is closed.

A client that is still writing when its connection is reset never sees the answer.
"""
BODY_SECONDS = 10.0
"""How long a client may take to send a body; `read_body` then answers 408."""

_ODD_PATH = re.compile(rb"//|/(?:\.|%2e){1,2}(?:/|\Z)|%2f|%5c|\\", re.IGNORECASE)
"""Matches an empty segment, a dot segment (encoded or not), an encoded slash, or a backslash.

No path of govid contains one of them, and proxies interpret them differently.
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class LimitExceeded(Exception):
    """The request exceeds a limit; `status` is the HTTP status of the answer.

    `close_connection` is true if the rest of the body was left unread. The connection is then
    closed, because no further request can be read from it.
    """

    def __init__(self, status: int, *, close_connection: bool = False) -> None:
        """Answer with *status*."""
        self.status = status
        self.close_connection = close_connection
        super().__init__(status)


class ClientDisconnected(Exception):
    """The client disconnected before its body was complete."""


def check_head(info: RequestInfo) -> None:
    """Check everything that the head of a request shows.

    Raises:
        LimitExceeded: the address, the headers or the announced body are too large, the body is
            compressed, or the path has a segment that no route has.
        InvalidRequest: the query gives a parameter twice.
    """
    if info.target_bytes > MAX_TARGET_BYTES:
        raise LimitExceeded(414)
    if _ODD_PATH.search(info.raw_path):
        raise LimitExceeded(404)
    if info.header_bytes > MAX_HEADER_BYTES:
        raise LimitExceeded(431)
    if info.content_length is not None and info.content_length > MAX_DISCARDED_BYTES:
        raise LimitExceeded(413, close_connection=True)
    if info.content_encoding not in (None, b"", b"identity"):
        raise LimitExceeded(415)
    if b"&" in info.query:
        _refuse_duplicate_parameters(info.query)


async def read_body(receive: Any, seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body, so that no handler waits for a slow client.

    Raises:
        LimitExceeded: it is too large, or took longer than *seconds*.
        ClientDisconnected: the client closed the connection.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > MAX_DISCARDED_BYTES:
                    raise LimitExceeded(413, close_connection=True)
                if size <= MAX_BODY_BYTES:
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise LimitExceeded(408, close_connection=True) from None
    if size > MAX_BODY_BYTES:
        raise LimitExceeded(413)
    return b"".join(chunks)


async def discard_body(receive: Any) -> None:
    """Read and drop a body, because a client that is still writing sees no answer.

    Raises:
        LimitExceeded: the body is far too long; this status replaces the one to be answered.
        ClientDisconnected: the client closed the connection.
    """
    try:
        await read_body(receive)
    except LimitExceeded as refused:
        if refused.close_connection:
            raise


def replay_body(body: bytes, receive: Any) -> Any:
    """Return an ASGI `receive` that returns *body* once, and then awaits the real one."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return pending.pop() if pending else await receive()

    return again


def _refuse_duplicate_parameters(query: bytes) -> None:
    """Refuse a parameter that is given twice: programs disagree about which of the two counts."""
    seen: set[bytes] = set()
    for part in query.split(b"&"):
        name = unquote_to_bytes(part.partition(b"=")[0].replace(b"+", b" "))
        if part and name in seen:
            text = name.decode("latin-1")
            # Only a plain name is repeated to the client: any other text may be a value (I9).
            loc = ("query", text) if _NAME.fullmatch(text) else ("query",)
            fault = FieldFault(loc=loc, msg="is given twice", type="duplicate_parameter")
            raise InvalidRequest(": ".join((*loc[1:], fault.msg)), field_problems=(fault,))
        seen.add(name)
