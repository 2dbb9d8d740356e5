"""How long a connection may take, and how much it may send, before there is a request to refuse.

Uvicorn with httptools waits for ever for the end of a head and keeps whatever has arrived of it.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from govid.gateway.problems import MEDIA_TYPE, plain

HEAD_BYTES = 32 * 1024
"""Of a head that is not complete; a complete one is judged by `limits`, and answered in full."""
HEAD_SECONDS = 10.0


class Connection(HttpToolsProtocol):
    """One client's connection, which ends when a request's head does not."""

    _deadline: TimerHandle | None = None
    _arrived = 0
    """How many bytes of the head that is being read have arrived."""
    _heads = 0
    """How many heads were complete."""
    _begun = False
    _in_body = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as above it
        """Expect a head, soon."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read *data*; count it if it belongs to a head."""
        heads, was_in_body = self._heads, self._in_body
        super().data_received(data)
        if self._heads != heads:
            # Of a next request that has begun in the same breath, the size does not matter yet.
            self._arrived = int(self._begun)
        elif not was_in_body:
            self._arrived += len(data)
        if self._in_body or (self._heads != heads and not self._begun):
            return
        if self._arrived > HEAD_BYTES:
            self._refuse(431)
        elif self._deadline is None:
            self._expect()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no trailer: uvicorn would let one stand beside the headers."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that a head is complete."""
        self._relax()
        self._heads += 1
        self._begun, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the next bytes are another request's."""
        self._in_body = False
        super().on_message_complete()

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._refuse, 408)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        """End the connection, with a word if the client has begun to speak and may be answered."""
        self._relax()
        transport: Any = self.transport
        if transport.is_closing():
            return
        if self._arrived and (self.cycle is None or self.cycle.response_complete):
            transport.write(_answer(status))
        transport.close()


def _answer(status: int) -> bytes:
    refusal = plain(status)
    body = refusal.body("/")
    head = (
        f"HTTP/1.1 {status} \r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
