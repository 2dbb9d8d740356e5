"""Clients that send slowly, or leave."""

import asyncio
from urllib.parse import urlsplit

import pytest

from govid.gateway.http.limits import read_body
from tests.http.client import Client

HEAD = (
    b"POST /api/auth/register HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
)


@pytest.fixture(autouse=True)
def _short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_body, "__defaults__", (0.2,))


async def test_a_body_that_does_not_come_is_a_408(shared_server: str) -> None:
    address = urlsplit(shared_server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(HEAD + b"{")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:govid:problem:request-timeout" in answer
    assert b"connection: close" in answer
    writer.close()


async def test_a_client_that_leaves_harms_no_one(shared_server: str, visitor: Client) -> None:
    address = urlsplit(shared_server)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(HEAD + b"{")
    await writer.drain()
    writer.close()
    assert (await visitor.get("/")).status_code == 200
