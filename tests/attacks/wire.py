"""Sends bytes as they are, which no HTTP client would."""

import asyncio
from urllib.parse import urlsplit


class Wire:
    """Opens connections to one server."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.host, self.port = str(address.hostname), address.port

    async def send(self, *parts: bytes, seconds: float = 10) -> bytes:
        """Send *parts* on one connection; return all that comes back until it is closed."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await asyncio.wait_for(reader.read(), seconds)
        finally:
            writer.close()

    async def get(self, target: str, *headers: str) -> tuple[int, bytes]:
        """Ask for *target* as given; return the status and all of the answer."""
        head = "\r\n".join(
            [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
        )
        return await self.status(head.encode("latin-1"))

    async def post(self, path: str, body: bytes, *headers: str) -> tuple[int, bytes]:
        """Post *body* as JSON; return the status and all of the answer."""
        head = "\r\n".join(
            [
                f"POST {path} HTTP/1.1",
                "Host: 127.0.0.1",
                "Connection: close",
                "Content-Type: application/json",
                *headers,
                "",
                "",
            ]
        )
        return await self.status(head.encode("latin-1") + body)

    async def status(self, request: bytes) -> tuple[int, bytes]:
        """Send *request*; return the status and all of the answer."""
        answer = await self.send(request)
        return int(answer.split(b" ", 2)[1]), answer
