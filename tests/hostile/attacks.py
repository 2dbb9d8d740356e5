"""The attacks: each holds on to a server from many connections until its time is up.

Run as `python -m tests.hostile.attacks NAME URL SECONDS [TOKEN]`. All come from 127.0.0.2, which is
another network for govid than the prober's.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

SOURCE = "127.0.0.2"
CHUNKED = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
GET = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LARGE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

Attack = Callable[["Attacker"], Awaitable[None]]


class Attacker:
    """Opens connections to one server until the time is up."""

    def __init__(self, url: str, seconds: float, tokens: Sequence[str]) -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), address.port
        self._ends_at = time.monotonic() + seconds
        self.tokens = tokens
        self.connections = 0

    @property
    def goes_on(self) -> bool:
        """Tell whether there is time left."""
        return time.monotonic() < self._ends_at

    async def open(
        self, receive_buffer: int = 65_536
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; how much is read ahead is bounded by *receive_buffer*."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        connection.bind((SOURCE, 0))
        await asyncio.get_running_loop().sock_connect(connection, (self._host, self._port))
        self.connections += 1
        return await asyncio.open_connection(sock=connection, limit=receive_buffer)

    async def by_many(self, connections: int, attack: Attack) -> None:
        """Let *attack* begin again and again on so many connections at a time."""

        async def again() -> None:
            while self.goes_on:
                # The server ends what it does not want: that is what it should do.
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await attack(self)

        await asyncio.gather(*(again() for _ in range(connections)))

    async def pour(self, beginning: bytes, piece: bytes, pause_seconds: float = 0) -> None:
        """Send *beginning*, then *piece* again and again, until the server hangs up."""
        reader, writer = await self.open()
        try:
            writer.write(beginning)
            while self.goes_on and not reader.at_eof():
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), 20)
                if reader.at_eof():
                    return
                await asyncio.sleep(pause_seconds)
        finally:
            writer.close()

    async def ask(self, request: bytes) -> bytes:
        """Send *request* on a connection of its own; return the answer."""
        reader, writer = await self.open()
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()


def _post(path: str, body: bytes, *more: str) -> bytes:
    head = "\r\n".join(
        [
            f"POST {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *more,
            "",
            "",
        ]
    )
    return head.encode() + body


async def trailers(attacker: Attacker) -> None:
    await attacker.pour(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: b\r\n" * 4_000)


async def chunk_extensions(attacker: Attacker) -> None:
    await attacker.pour(CHUNKED + b"2;", b"a=b;" * 8_000)


async def never_reading(attacker: Attacker) -> None:
    reader, writer = await attacker.open(4_096)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    try:
        writer.write(LARGE * 20)
        while attacker.goes_on and not writer.is_closing():
            await asyncio.sleep(0.5)
    finally:
        writer.transport.abort()


async def slow_bodies(attacker: Attacker) -> None:
    head = _post("/api/auth/login", b"")[:-4].replace(b"Length: 0", b"Length: 1000")
    await attacker.pour(head + b"\r\n\r\n", b" ", 0.1)


async def slow_heads(attacker: Attacker) -> None:
    await attacker.pour(GET[:-2], b"X-A: b\r\n", 0.1)


def _bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


async def flat_objects(attacker: Attacker) -> None:
    await attacker.ask(_post("/api/auth/login", b"[" + b"{}," * 20_000 + b"{}]"))
    await attacker.ask(_post("/api/auth/login", b"[" + b"{}," * 5_000 + b"{}]"))
    body = b"[" + b"{}," * 20_000 + b"{}]"
    await attacker.ask(_post("/api/nhs/patients", body, _bearer(attacker.tokens[0])))


async def nested(attacker: Attacker) -> None:
    body = b'{"a":[' * 10_000
    await attacker.ask(_post("/api/nhs/patients", body, _bearer(attacker.tokens[0])))
    await attacker.ask(_post("/api/auth/login", body[:16_000]))


async def pipelined(attacker: Attacker) -> None:
    reader, writer = await attacker.open()

    async def swallow() -> None:
        while await reader.read(65_536):
            pass

    swallowing = asyncio.create_task(swallow())
    try:
        while attacker.goes_on and not swallowing.done():
            writer.write(GET * 200)
            await asyncio.wait_for(writer.drain(), 20)
            await asyncio.sleep(0)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await swallowing


async def connection_flood(attacker: Attacker) -> None:
    _, writer = await attacker.open()
    writer.write(b"GET")
    await asyncio.sleep(0.5)
    writer.transport.abort()


async def http_1_0(attacker: Attacker) -> None:
    await attacker.ask(GET.replace(b"1.1", b"1.0"))
    await attacker.ask(CHUNKED.replace(b"1.1", b"1.0") + b"2\r\n{}\r\n0\r\n\r\n")


async def largest_export(attacker: Attacker) -> None:
    # Each time another account: one makes one export at a time.
    token = attacker.tokens[attacker.connections % len(attacker.tokens)]
    await attacker.ask(
        b"GET /api/auth/export HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        + f"{_bearer(token)}\r\n\r\n".encode()
    )


async def password_flood(attacker: Attacker) -> None:
    email = f"flood{attacker.connections}@example.com"
    body = json.dumps({"email": email, "password": "wrong password"}).encode()
    await attacker.ask(_post("/api/auth/login", body))


ATTACKS: dict[str, tuple[int, Attack]] = {
    "trailers": (8, trailers),
    "chunk extensions": (8, chunk_extensions),
    "never reading": (300, never_reading),
    "slow bodies": (150, slow_bodies),
    "slow heads": (150, slow_heads),
    "flat objects": (4, flat_objects),
    "nested": (4, nested),
    "pipelined": (4, pipelined),
    "connection flood": (400, connection_flood),
    "HTTP/1.0": (8, http_1_0),
    "largest export": (14, largest_export),
    "password flood": (50, password_flood),
}
"""By name: how many connections at a time, and what each does again and again."""


def main() -> None:
    """Attack as the command line says."""
    name, url, seconds, *tokens = sys.argv[1:]
    connections, attack = ATTACKS[name]
    attacker = Attacker(url, float(seconds), tokens)
    asyncio.run(attacker.by_many(connections, attack))
    sys.stdout.write(f"{attacker.connections}\n")


if __name__ == "__main__":
    main()
