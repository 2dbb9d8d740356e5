"""How much a client may send, and for how long it may take."""

import asyncio
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from govid.bus import FieldFault, Invalid
from govid.gateway.exchange import Exchange

BODY_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024
TARGET_BYTES = 2048
DRAIN_BYTES = 8 * 1024 * 1024
"""How much of a body that is too large is thrown away, rather than hanging up.

A client that is still writing when its connection is reset never sees the answer.
"""
BODY_SECONDS = 10.0

_ODD_PATH = re.compile(rb"//|/(?:\.|%2e){1,2}(?:/|\Z)|%2f|%5c|\\", re.IGNORECASE)
"""An empty segment, a dot segment, encoded or not, an encoded slash, and a backslash.

No path of govid has any of them, and proxies disagree about what they mean.
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Refused(Exception):
    """The request breaks a limit; `status` says which.

    `hang_up` tells that the rest of its body was left unread, so that the connection is of no use.
    """

    def __init__(self, status: int, *, hang_up: bool = False) -> None:
        """Refuse with *status*."""
        self.status = status
        self.hang_up = hang_up
        super().__init__(status)


class Gone(Exception):
    """The client left before its body was complete."""


def check(exchange: Exchange) -> None:
    """Refuse what can be told from the head of a request.

    Raises:
        Refused: the address, the headers or the announced body are too large, it is compressed, or
            the path has a segment that no route has.
        Invalid: the query gives a parameter twice.
    """
    if exchange.target_bytes > TARGET_BYTES:
        raise Refused(414)
    if _ODD_PATH.search(exchange.raw_path):
        raise Refused(404)
    if exchange.header_bytes > HEADER_BYTES:
        raise Refused(431)
    if exchange.content_length is not None and exchange.content_length > DRAIN_BYTES:
        raise Refused(413, hang_up=True)
    if exchange.content_encoding not in (None, b"", b"identity"):
        raise Refused(415)
    if b"&" in exchange.query:
        _refuse_repetition(exchange.query)


async def read(receive: Any, seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body, so that nothing behind the edge waits for a slow client.

    Raises:
        Refused: it is too large, or took longer than *seconds*.
        Gone: the client hung up.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > DRAIN_BYTES:
                    raise Refused(413, hang_up=True)
                if size <= BODY_BYTES:
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Refused(408, hang_up=True) from None
    if size > BODY_BYTES:
        raise Refused(413)
    return b"".join(chunks)


async def discard(receive: Any) -> None:
    """Read a body that nothing wants, because a client that is still writing sees no answer.

    Raises:
        Refused: there is no end to it; its status replaces the one that was to be answered.
        Gone: the client hung up.
    """
    try:
        await read(receive)
    except Refused as refused:
        if refused.hang_up:
            raise


def replay(body: bytes, receive: Any) -> Any:
    """Return an ASGI `receive` that hands *body* out once, and then asks the real one."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return pending.pop() if pending else await receive()

    return again


def _refuse_repetition(query: bytes) -> None:
    """Refuse a parameter that stands twice: of two, one party reads the first, another the last."""
    seen: set[bytes] = set()
    for part in query.split(b"&"):
        name = unquote_to_bytes(part.partition(b"=")[0].replace(b"+", b" "))
        if part and name in seen:
            text = name.decode("latin-1")
            # Only what looks like a name goes back: anything else may be a value.
            loc = ("query", text) if _NAME.fullmatch(text) else ("query",)
            fault = FieldFault(loc=loc, msg="is given twice", type="duplicate_parameter")
            raise Invalid(": ".join((*loc[1:], fault.msg)), faults=(fault,))
        seen.add(name)
