"""A TCP port whose new connections may be led elsewhere: what DNS or a virtual address does."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class SwitchedPort:
    """Leads connections to a port of this machine. A switch leaves those that exist alone."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0

    async def serve(self, ready: threading.Event, ended: asyncio.Event) -> None:
        server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await ended.wait()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def switched_port(target: int) -> Iterator[SwitchedPort]:
    """Yield a port that leads to *target*, served by a thread of its own."""
    switch = SwitchedPort(target)
    loop = asyncio.new_event_loop()
    ready, ended = threading.Event(), asyncio.Event()
    main = loop.create_task(switch.serve(ready, ended))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(main)
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield switch
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
