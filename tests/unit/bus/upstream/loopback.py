"""A server on a loopback port that sends exactly the given bytes, well-formed or not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Self

import msgspec

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n"


class Seen(msgspec.Struct, frozen=True):
    """A request as it came: its first line, its headers, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


class Loopback:
    """Answers each request with the next of its replies, and the rest with the last."""

    def __init__(self, *replies: Reply) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self._replies = list(replies)
        self._tasks = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._tasks.aclose()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.callback(task.cancel)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while not writer.is_closing():
                self.seen.append(await _request(reader))
                reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                await reply(writer)
                await writer.drain()
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(line, headers, body)


def reply(
    status: int = 200, body: bytes = b"{}", *, kind: str = "application/json", **headers: str
) -> Reply:
    """Answer with a whole response; `retry_after="1"` is the header `retry-after`."""

    async def send(writer: asyncio.StreamWriter) -> None:
        fields = {"content-type": kind, "content-length": str(len(body))} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)

    return send


def silence() -> Reply:
    """Say nothing, for ever."""

    async def wait(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    return wait


def half(body: bytes = b'{"half":') -> Reply:
    """Promise more than *body*, and hang up."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 100\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    return send


def endless() -> Reply:
    """Send a body that never ends."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    return send
