"""Protects connections against slow headers (Slowloris), slow readers and oversized heads.

Subclasses uvicorn's HTTP protocol. Uvicorn with httptools waits without limit for a head, a trailer
or a slow reader. It also stores every pipelined request that has arrived, and parses all bytes of a
read at once.
"""

from asyncio import TimerHandle, Transport
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from govid.gateway.http.connection_limits import ConnectionLimits, ConnectionSlot
from govid.gateway.http.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, problem_for_status

HEAD_BYTES = 32 * 1024
"""Limit of an incomplete head. A complete head is checked by `http/limits.py` and answered."""
HEAD_SECONDS = 10.0
UNREAD_BYTES = 48 * 1024
"""Limit of body bytes that reach no handler: chunk sizes and extensions, trailers, and bytes that
arrive after the answer was sent."""
CHUNK_BYTES = 2 * 1024
"""Bytes parsed between two checks of the limits: the parser calls back for every header."""
PIPELINED = 8
"""How many requests may wait behind the one being answered; further ones stay in the socket."""
WRITE_SECONDS = 20.0
"""An answer is given up if the client reads nothing of it for this long."""
WRITE_CHECKS = 4
RESPONSE_SECONDS = 120.0
"""An answer is given up if a slow client has not read all of it after this time. Otherwise the code
that produces it, for instance a data export, would be occupied for others."""
_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings", b"connection"})
LINGER_SECONDS = 1.0
"""How long a refused client may take to read the answer; a reset would discard the answer."""
LINGER_BYTES = 512 * 1024
"""How many bytes of the client are dropped meanwhile; further bytes stay in the socket."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """One client's connection, which is closed when the client exceeds a limit."""

    head_seconds: float | None = None
    """Deadline of a head; None is `HEAD_SECONDS`."""
    flow: "_HoldableFlowControl"
    _limits: ConnectionLimits
    _slot: ConnectionSlot | None = None
    """The slot of this connection; None if it was refused or evicted."""
    _is_closing = False
    _pending_refusal: int | None = None
    """The status to answer with, after the requests before the refused one are answered."""
    _offers_upgrade = False
    """Whether the head that was read last offers another protocol (`Upgrade`)."""
    _linger_timer: TimerHandle | None = None
    _discarded = 0
    _head_deadline: TimerHandle | None = None
    _write_timer: TimerHandle | None = None
    _unsent = 0
    _checks_without_progress = 0
    _behind_since = 0.0
    _unparsed = b""
    """Bytes that arrived while too many requests were waiting; they are not parsed yet."""
    _head_bytes = 0
    """How many bytes of the head that is being read have arrived."""
    _undelivered = 0
    """How many bytes of the current body reached no handler."""
    _delivered = 0
    """How many bytes of the body the parser has delivered."""
    _completed_heads = 0
    """How many heads have been completed."""
    _has_begun_head = False
    _in_body = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as above it
        """Wait for a head with a deadline; refuse the connection if there are too many."""
        super().connection_made(transport)
        self.flow = _HoldableFlowControl(transport)
        self._limits = self.app.limits
        self._slot = self._limits.acquire_slot(
            self.client[0] if self.client else None, self._on_evicted
        )
        if self._slot is not None:
            self._start_head_deadline()
        else:
            self._is_closing = True
            self._write_and_close(self._build_refusal(503))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers and release the slot."""
        self._stop_head_deadline()
        self._unparsed = b""
        if self._write_timer is not None:
            self._write_timer.cancel()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._limits.end_lingering()
        if self._slot is not None:
            self._limits.release_slot(self._slot)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse *data* piece by piece, as far as the limits allow."""
        if self._linger_timer is not None:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.flow.hold()
            return
        if self._is_closing:
            return
        if self._unparsed:
            self._unparsed += data
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK_BYTES):
            if self._is_closing or self.transport.is_closing():
                return
            if len(self.pipeline) >= PIPELINED:
                self._unparsed = data[start:]
                self._stop_head_deadline()
                self.flow.hold()
                return
            self._parse_chunk(data[start : start + CHUNK_BYTES])

    def _parse_chunk(self, data: bytes) -> None:
        """Parse *data* and count the bytes of a head, and of a body that reach no handler."""
        heads, was_in_body, delivered = self._completed_heads, self._in_body, self._delivered
        self._feed_parser(data)
        if self._is_closing or self.transport.is_closing():
            return
        if was_in_body and self._completed_heads == heads:
            self._undelivered += len(data) - (self._delivered - delivered)
            if self._undelivered > UNREAD_BYTES:
                self._refuse(400, "unread_body")
                return
        if self._completed_heads != heads:
            # The size of a next request that begins in the same bytes does not matter yet.
            self._head_bytes = int(self._has_begun_head)
        elif not was_in_body:
            self._head_bytes += len(data)
        if self._in_body or (self._completed_heads != heads and not self._has_begun_head):
            return
        if self._head_bytes > HEAD_BYTES:
            self._refuse(431, "head_too_large")
        elif self._head_deadline is None:
            self._start_head_deadline()

    def _feed_parser(self, data: bytes) -> None:
        """Pass *data* to the parser."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "malformed", sent_data=True)

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse a request again without its offer of another protocol, which may be ignored.

        The parser treats every offer as accepted and skips the body. Java's client makes an offer
        in the first request of each connection.
        """
        self._offers_upgrade = False
        parser, self.parser = self.parser, httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        version = parser.get_http_version().encode()
        first = b"%s %s HTTP/%s" % (parser.get_method(), self.url, version)
        lines = [
            name + b": " + value for name, value in self.headers if name not in _UPGRADE_HEADERS
        ]
        if not parser.should_keep_alive():
            lines.append(b"connection: close")
        head = b"\r\n".join([first, *lines, b"", b""])
        self._feed_parser(head + rest)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._has_begun_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Accept a header; drop a trailer, which uvicorn would add to the headers."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that a head is complete.

        Raises:
            ValueError: the method is CONNECT, or an HTTP/1.0 request uses chunks, which only
                HTTP/1.1 has (RFC 9112, 6.1). The parser turns it into a 400, as it does with a
                target that has no path or cannot be parsed.
        """
        if self.parser.get_method() == b"CONNECT":
            raise ValueError
        if self.parser.get_http_version() != "1.1" and _has_transfer_encoding(self.headers):
            raise ValueError
        if self.parser.should_upgrade():
            self._offers_upgrade = True
            return
        # Parses the target, which may fail: until then `cycle` is that of the previous request.
        super().on_headers_complete()
        self._stop_head_deadline()
        self._completed_heads += 1
        self._undelivered = 0
        self._has_begun_head, self._in_body = False, True
        if self._slot is not None:
            self._limits.mark_serving(self._slot)

    def on_body(self, body: bytes) -> None:
        """Deliver a part of the body, unless its request has already been answered."""
        if not self.cycle.response_complete:
            self._delivered += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the next bytes belong to another request."""
        if self._offers_upgrade:
            return
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next pipelined request and parse the bytes that were held back for it."""
        super().on_response_complete()
        self._watch_writing()
        if self._pending_refusal is not None and not self._is_responding():
            self._send_pending_refusal(self._pending_refusal)
        self._mark_waiting()
        if self._unparsed and len(self.pipeline) < PIPELINED:
            self.loop.call_soon(self._parse_unparsed)

    def pause_writing(self) -> None:
        """Wait for a slow reader, with a time limit."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self._checks_without_progress = 0

    def _parse_unparsed(self) -> None:
        """Parse the bytes that were held back."""
        held, self._unparsed = self._unparsed, b""
        if not held or self.transport.is_closing():
            return
        self.flow.release()
        self._parse(held)

    def _watch_writing(self) -> None:
        """Check at intervals whether the client reads what is written to it."""
        if self._write_timer is None and self.transport.get_write_buffer_size():
            self._unsent, self._checks_without_progress = self.transport.get_write_buffer_size(), 0
            self._behind_since = self.loop.time()
            self._schedule_write_check()

    def _schedule_write_check(self) -> None:
        self._write_timer = self.loop.call_later(WRITE_SECONDS / WRITE_CHECKS, self._check_writing)

    def _check_writing(self) -> None:
        self._write_timer = None
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if not self._unsent:
            self._mark_waiting()
            return
        if self._unsent < before:
            self._checks_without_progress = 0
        else:
            self._checks_without_progress += 1
        if self._checks_without_progress >= WRITE_CHECKS:
            self._limits.count_end("write_stalled")
            self.transport.abort()
        elif self.loop.time() - self._behind_since > RESPONSE_SECONDS:
            self._limits.count_end("write_slow")
            self.transport.abort()
        else:
            self._schedule_write_check()

    def _start_head_deadline(self) -> None:
        seconds = HEAD_SECONDS if self.head_seconds is None else self.head_seconds
        self._head_deadline = self.loop.call_later(seconds, self._refuse, 408, "head_timeout")

    def _stop_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _refuse(self, status: int, reason: str, *, sent_data: bool = False) -> None:
        """Close the connection, with an answer if the client *sent_data* and can be answered."""
        self._stop_head_deadline()
        transport: Any = self.transport
        if transport.is_closing():
            return
        sent_data = sent_data or self._in_body or bool(self._head_bytes)
        if sent_data:
            self._limits.count_end(reason)
        if not self._in_body and self._is_responding():
            # The requests before the refused one are complete. They are answered first.
            self._is_closing = True
            self.flow.hold()
            if sent_data:
                self._pending_refusal = status
            else:
                self.cycle.keep_alive = False
            return
        self._close(status, sent_data=sent_data)

    def _send_pending_refusal(self, status: int) -> None:
        """Send the refusal that waited until earlier requests were answered."""
        self._pending_refusal = None
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        # Bytes that the client still sends are dropped while it reads.
        self.flow.release()
        self._write_and_close(self._build_refusal(status))

    def _on_evicted(self) -> None:
        """Close the connection, which serves no request, because another one got its slot."""
        self._slot = None
        self._stop_head_deadline()
        if not self._is_closing and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._close(503, sent_data=self._in_body or bool(self._head_bytes))

    def _close(self, status: int, *, sent_data: bool) -> None:
        """Close the connection, on which no complete request waits for its answer."""
        self._is_closing = True
        if self._in_body and self.cycle.response_complete:
            # Already answered, but the client still sends: it may not have read the answer yet.
            self._write_and_close(b"")
        elif sent_data and self._take_over_response():
            self._write_and_close(self._build_refusal(status))
        else:
            self.transport.close()
            self._watch_writing()

    def _mark_waiting(self) -> None:
        """Note that the connection serves no request, if it is idle and its client has read all."""
        if (
            self._slot is not None
            and not self._is_responding()
            and not self.transport.get_write_buffer_size()
        ):
            self._limits.mark_waiting(self._slot)

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _take_over_response(self) -> bool:
        """Take over the answer from the handler; return False if that is no longer possible.

        A request whose body is still being read is answered here instead of by its handler.
        """
        if not self._in_body:
            return True
        cycle = self.cycle
        if self.pipeline or cycle.response_started:
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        return True

    def _write_and_close(self, response: bytes) -> None:
        """Write *response* and close the connection once the client has read it."""
        if response:
            self.transport.write(response)
        # A client that is still reading an earlier answer needs longer than `LINGER_SECONDS`.
        if not self.transport.get_write_buffer_size() and self._limits.begin_lingering():
            self.transport.write_eof()
            self._linger_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        else:
            self.transport.close()
            self._watch_writing()

    def _build_refusal(self, status: int) -> bytes:
        """Return a complete answer that refuses with *status*."""
        return _encode_refusal(status, tuple(self.app.default_headers))


class _HoldableFlowControl(FlowControl):
    """Flow control that reads nothing while requests are held back."""

    _is_held = False

    def hold(self) -> None:
        """Pause reading until `release`."""
        self._is_held = True
        self.pause_reading()

    def release(self) -> None:
        """Resume reading."""
        self._is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless requests are held back."""
        if not self._is_held:
            super().resume_reading()


def _has_transfer_encoding(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


@lru_cache(maxsize=16)
def _encode_refusal(status: int, default_headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    body = problem_for_status(status).encode("/")
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *default_headers,
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    lines = [b"HTTP/1.1 %d " % status, *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join([*lines, b"", body])
