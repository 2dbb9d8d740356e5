"""A TCP proxy that can do to its connections what networks do.

It drops them, refuses new ones, delays, cuts in the middle of a message, and swallows: a black
hole holds back what is sent, in one direction or both, without an error. When it ends, either all
of it arrives after all, or the connections of that time stay dead for ever and silently, as
behind a firewall that has forgotten them.
"""

import asyncio
import re
import socket
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536
_BATCH = re.compile(
    # Base offset, length, leader epoch; then magic 2, CRC, attributes, the last offset's delta, and
    # two times of this century. Source: Kafka's documentation, "Record Batch".
    rb"\x00\x00.{6}\x00.{3}.{4}\x02.{4}\x00.\x00.{3}\x00\x00\x01.{5}\x00\x00\x01",
    re.DOTALL,
)
_FIRST_TIME = 27
"""Where the first time of a batch begins. Its CRC covers it."""


class Way(StrEnum):
    """A direction through the proxy."""

    UP = "up"
    """From the client to the server."""
    DOWN = "down"


class Connection:
    """One client's connection, and the one to the server that was opened for it."""

    def __init__(self, proxy: "Proxy", client: asyncio.StreamWriter) -> None:
        """Begin with the faults that *proxy* has now."""
        self._proxy = proxy
        self._writers = [client]
        self.gates = {way: asyncio.Event() for way in Way}
        self.shut(proxy.holes)
        self.forgotten = False
        self.budget: int | None = proxy.budget

    def shut(self, ways: frozenset[Way]) -> None:
        """Hold back what goes one of *ways*; let the rest pass."""
        for way, gate in self.gates.items():
            if way in ways:
                gate.clear()
            else:
                gate.set()

    def abort(self) -> None:
        """End both connections at once, with a reset."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        """Pass on what comes from either side until one of them ends."""
        # The server learns nothing of a client whose first bytes do not arrive.
        await self.gates[Way.UP].wait()
        back, server = await asyncio.open_connection(host, port)
        self._writers.append(server)
        pumps = [
            asyncio.create_task(self._pump(Way.UP, reader, server)),
            asyncio.create_task(self._pump(Way.DOWN, back, client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def _pump(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        gate = self.gates[way]
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self._proxy.delay_seconds:
                    await asyncio.sleep(self._proxy.delay_seconds)
                # Again after each wait: the hole may have closed over it meanwhile.
                while not gate.is_set():
                    await gate.wait()
                if way is Way.DOWN:
                    data = self._proxy.is_passed(data)
                if self.budget is not None:
                    data, self.budget = data[: self.budget], self.budget - len(data)
                writer.write(data)
                await writer.drain()
                if self.budget is not None and self.budget <= 0:
                    return


class Proxy:
    """Listens on a port of 127.0.0.1 for one server."""

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        """Stand before the server at *host* and *port*; `open` begins to listen."""
        self.port = own_port
        self.holes: frozenset[Way] = frozenset()
        self.delay_seconds = 0.0
        self.budget: int | None = None
        self.damage_over: int | None = None
        """In each longer chunk from the server one bit of its first Kafka record batch is flipped.

        Only batches have a checksum: damage to the rest of Kafka's protocol cannot be noticed.
        """
        self.damaged = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def __aenter__(self) -> Self:
        """Listen."""
        self._placeholder = self._bound()
        self.port = self._placeholder.getsockname()[1]
        await self.admit()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything."""
        self.refuse()
        if self._placeholder is not None:
            self._placeholder.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    def is_passed(self, data: bytes) -> bytes:
        """Return *data* as it leaves the proxy: with a bit flipped if `damage_over` requires it."""
        if self.damage_over is None or len(data) <= self.damage_over:
            return data
        batch = _BATCH.search(data)
        if batch is None:
            return data
        self.damaged += 1
        place = batch.start() + _FIRST_TIME + 7
        return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]

    def lead_to(self, host: str, port: int) -> None:
        """Lead new connections to another server."""
        self._target = (host, port)

    def drop(self) -> None:
        """Reset every connection."""
        for connection in self._connections.values():
            connection.abort()

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones until `admit`."""
        if self._server is not None:
            self._server.close()
            self._server = None
            # A socket that is bound and does not listen refuses, and no other gets the port.
            self._placeholder = self._bound()
        self.drop()

    async def admit(self) -> None:
        """Listen again."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=self._placeholder)
            self._placeholder = None

    def cut_after(self, count: int | None) -> None:
        """Break each connection in the middle of a message, *count* bytes from now; None: don't."""
        self.budget = count
        for connection in self._connections.values():
            connection.budget = count

    def swallow(self, *ways: Way) -> None:
        """Hold back what goes one of *ways*, on all connections, until `heal`."""
        self.holes = frozenset(ways)
        for connection in self._connections.values():
            connection.shut(self.holes)

    def forget(self) -> None:
        """Leave the connections there are dead for ever, and untold; new ones are served."""
        self.holes = frozenset()
        for connection in self._connections.values():
            connection.forgotten = True
            connection.shut(frozenset(Way))

    def heal(self) -> None:
        """Let everything through again, what was held back first."""
        self.holes = frozenset()
        for connection in self._connections.values():
            if not connection.forgotten:
                connection.shut(self.holes)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        connection = self._connections[task] = Connection(self, writer)
        try:
            # A server that is not there, or the end of the proxy: the client is reset.
            with suppress(OSError, asyncio.CancelledError):
                await connection.serve(reader, writer, *self._target)
        finally:
            del self._connections[task]
            connection.abort()

    def _bound(self) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", self.port))
        return bound
