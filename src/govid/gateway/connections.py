"""Limits of a connection: what the HTTP parser takes, how long it waits, how much it keeps.

Uvicorn with httptools waits without end for a head, a trailer or a slow reader, keeps every
pipelined request that has arrived, and parses whatever the socket hands over in one go.
"""

from asyncio import TimerHandle, Transport
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from govid.gateway.connection_limits import ConnectionLimits, ConnectionSlot
from govid.gateway.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, plain

HEAD_BYTES = 32 * 1024
"""Of a head that is not complete; a complete one is judged by `limits`, and answered in full."""
HEAD_SECONDS = 10.0
UNREAD_BYTES = 48 * 1024
"""Of a body that reach no handler: chunk sizes and extensions, trailers, and what follows an answer
that did not wait for it."""
PIECE_BYTES = 2 * 1024
"""So much is parsed before limits are checked: the parser calls back for every header."""
PIPELINED = 8
"""So many requests may wait for the one that is being answered; the rest stays in the socket."""
WRITE_SECONDS = 20.0
"""An answer of which the client takes nothing for so long is given up."""
WRITE_LOOKS = 4
ANSWER_SECONDS = 120.0
"""Nor does an answer wait longer than this for a client that takes it in drops: what makes it, an
export for instance, would be kept from others."""
_OFFER = frozenset({b"upgrade", b"http2-settings", b"connection"})
LINGER_SECONDS = 1.0
"""A refused client has so long to read the refusal; a reset would take it away."""
LINGER_BYTES = 512 * 1024
"""So much of what it still sends is thrown away meanwhile; the rest stays in the socket."""


class Connection(HttpToolsProtocol):
    """One client's connection, which ends when the client breaks a limit."""

    flow: "_Flow"
    _limits: ConnectionLimits
    _slot: ConnectionSlot | None = None
    """What this connection occupies; None if it was refused or evicted."""
    _is_ending = False
    _refusal: int | None = None
    """The status that is still to be answered, behind the requests before the wrong one."""
    _has_offer = False
    """Whether the head that was read last offers another protocol."""
    _lingering: TimerHandle | None = None
    _discarded = 0
    _deadline: TimerHandle | None = None
    _writing: TimerHandle | None = None
    _unsent = 0
    _looks_without_progress = 0
    _behind_since = 0.0
    _held = b""
    """Bytes that arrived while too many requests were waiting; they are not parsed yet."""
    _arrived = 0
    """How many bytes of the head that is being read have arrived."""
    _unread = 0
    """How many bytes of the present body reached no handler."""
    _delivered = 0
    """How many bytes of the body the parser has handed over."""
    _heads = 0
    """How many heads were complete."""
    _begun = False
    _in_body = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as above it
        """Expect a head, soon; refuse the connection if there are too many."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._limits = self.app.limits
        self._slot = self._limits.admit(self.client[0] if self.client else None, self._give_up)
        if self._slot is not None:
            self._expect()
        else:
            self._is_ending = True
            self._answer_and_end(self._answer(503))

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._relax()
        self._held = b""
        if self._writing is not None:
            self._writing.cancel()
        if self._lingering is not None:
            self._lingering.cancel()
            self._limits.end_lingering()
        if self._slot is not None:
            self._limits.release(self._slot)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse *data* piece by piece, as far as the limits allow."""
        if self._lingering is not None:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.flow.hold()
            return
        if self._is_ending:
            return
        if self._held:
            self._held += data
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            if self._is_ending or self.transport.is_closing():
                return
            if len(self.pipeline) >= PIPELINED:
                self._held = data[start:]
                self._relax()
                self.flow.hold()
                return
            self._parse_piece(data[start : start + PIECE_BYTES])

    def _parse_piece(self, data: bytes) -> None:
        """Parse *data* and count what belongs to a head, or to no handler."""
        heads, was_in_body, delivered = self._heads, self._in_body, self._delivered
        self._feed(data)
        if self._is_ending or self.transport.is_closing():
            return
        if was_in_body and self._heads == heads:
            self._unread += len(data) - (self._delivered - delivered)
            if self._unread > UNREAD_BYTES:
                self._refuse(400, "unread_body")
                return
        if self._heads != heads:
            # Of a next request that has begun in the same breath, the size does not matter yet.
            self._arrived = int(self._begun)
        elif not was_in_body:
            self._arrived += len(data)
        if self._in_body or (self._heads != heads and not self._begun):
            return
        if self._arrived > HEAD_BYTES:
            self._refuse(431, "head_too_large")
        elif self._deadline is None:
            self._expect()

    def _feed(self, data: bytes) -> None:
        """Give *data* to the parser."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "malformed", spoken=True)

    def _ignore_offer(self, rest: bytes) -> None:
        """Read a request again without its offer of another protocol, which may be ignored.

        The parser takes every offer for accepted and skips the body. Java's client makes one with
        each first request of a connection.
        """
        self._has_offer = False
        parser, self.parser = self.parser, httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        version = parser.get_http_version().encode()
        first = b"%s %s HTTP/%s" % (parser.get_method(), self.url, version)
        lines = [name + b": " + value for name, value in self.headers if name not in _OFFER]
        if not parser.should_keep_alive():
            lines.append(b"connection: close")
        head = b"\r\n".join([first, *lines, b"", b""])
        self._feed(head + rest)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no trailer: uvicorn would let one stand beside the headers."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that a head is complete.

        Raises:
            ValueError: the method is CONNECT, or an HTTP/1.0 request uses chunks, which only
                HTTP/1.1 has (RFC 9112, 6.1). The parser turns it into a 400, as it does with the
                errors of a target that has no path or cannot be read.
        """
        if self.parser.get_method() == b"CONNECT":
            raise ValueError
        if self.parser.get_http_version() != "1.1" and _has_transfer_encoding(self.headers):
            raise ValueError
        if self.parser.should_upgrade():
            self._has_offer = True
            return
        # Reads the target, which may fail: until then `cycle` is that of the request before.
        super().on_headers_complete()
        self._relax()
        self._heads += 1
        self._unread = 0
        self._begun, self._in_body = False, True
        if self._slot is not None:
            self._limits.note_serving(self._slot)

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body over, unless its request has been answered already."""
        if not self.cycle.response_complete:
            self._delivered += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the next bytes are another request's."""
        if self._has_offer:
            return
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the next pipelined request, and parse what was held back for it."""
        super().on_response_complete()
        self._watch_writing()
        if self._refusal is not None and not self._is_answering():
            self._refuse_at_last(self._refusal)
        self._note_waiting()
        if self._held and len(self.pipeline) < PIPELINED:
            self.loop.call_soon(self._resume)

    def pause_writing(self) -> None:
        """Wait for a client that reads too slowly, but not for ever."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self._looks_without_progress = 0

    def _resume(self) -> None:
        """Parse what was held back."""
        held, self._held = self._held, b""
        if not held or self.transport.is_closing():
            return
        self.flow.release()
        self._parse(held)

    def _watch_writing(self) -> None:
        """Look from time to time whether the client takes what is written for it."""
        if self._writing is None and self.transport.get_write_buffer_size():
            self._unsent, self._looks_without_progress = self.transport.get_write_buffer_size(), 0
            self._behind_since = self.loop.time()
            self._look_again()

    def _look_again(self) -> None:
        self._writing = self.loop.call_later(WRITE_SECONDS / WRITE_LOOKS, self._look)

    def _look(self) -> None:
        self._writing = None
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if not self._unsent:
            self._note_waiting()
            return
        if self._unsent < before:
            self._looks_without_progress = 0
        else:
            self._looks_without_progress += 1
        if self._looks_without_progress >= WRITE_LOOKS:
            self._limits.note_end("write_stalled")
            self.transport.abort()
        elif self.loop.time() - self._behind_since > ANSWER_SECONDS:
            self._limits.note_end("write_slow")
            self.transport.abort()
        else:
            self._look_again()

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._refuse, 408, "head_timeout")

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, reason: str, *, spoken: bool = False) -> None:
        """End the connection, with an answer if the client has *spoken* and may be answered."""
        self._relax()
        transport: Any = self.transport
        if transport.is_closing():
            return
        spoken = spoken or self._in_body or bool(self._arrived)
        if spoken:
            self._limits.note_end(reason)
        if not self._in_body and self._is_answering():
            # Requests before the wrong one are whole. They are answered first.
            self._is_ending = True
            self.flow.hold()
            if spoken:
                self._refusal = status
            else:
                self.cycle.keep_alive = False
            return
        self._end(status, spoken=spoken)

    def _refuse_at_last(self, status: int) -> None:
        """Refuse what stood behind requests that are answered by now."""
        self._refusal = None
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        # What the client still sends is thrown away while it reads.
        self.flow.release()
        self._answer_and_end(self._answer(status))

    def _give_up(self) -> None:
        """End the connection, which serves no request, because another one has its slot."""
        self._slot = None
        self._relax()
        if not self._is_ending and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._end(503, spoken=self._in_body or bool(self._arrived))

    def _end(self, status: int, *, spoken: bool) -> None:
        """End the connection, on which no whole request waits for its answer."""
        self._is_ending = True
        if self._in_body and self.cycle.response_complete:
            # Answered already, and the client still sends: it may not have read the answer yet.
            self._answer_and_end(b"")
        elif spoken and self._take_over():
            self._answer_and_end(self._answer(status))
        else:
            self.transport.close()
            self._watch_writing()

    def _note_waiting(self) -> None:
        """Note that the connection serves no request, if that is so and its client has read all."""
        if (
            self._slot is not None
            and not self._is_answering()
            and not self.transport.get_write_buffer_size()
        ):
            self._limits.note_waiting(self._slot)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _take_over(self) -> bool:
        """Tell whether an answer may be written here.

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

    def _answer_and_end(self, answer: bytes) -> None:
        """Write *answer* and end the connection once the client has read it."""
        if answer:
            self.transport.write(answer)
        # A client that is still reading an earlier answer needs longer than it may linger.
        if not self.transport.get_write_buffer_size() and self._limits.begin_lingering():
            self.transport.write_eof()
            self._lingering = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        else:
            self.transport.close()
            self._watch_writing()

    def _answer(self, status: int) -> bytes:
        """Return a whole answer that refuses with *status*."""
        return _refusal(status, tuple(self.app.standing_headers))


class _Flow(FlowControl):
    """Flow control that does not read on while requests are held back."""

    _is_held = False

    def hold(self) -> None:
        """Read nothing more until `release`."""
        self._is_held = True
        self.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Read on, unless requests are held back."""
        if not self._is_held:
            super().resume_reading()


def _has_transfer_encoding(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


@lru_cache(maxsize=16)
def _refusal(status: int, standing_headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    body = plain(status).body("/")
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *standing_headers,
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    lines = [b"HTTP/1.1 %d " % status, *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join([*lines, b"", body])
