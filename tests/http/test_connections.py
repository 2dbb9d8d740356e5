"""Connections on which no request comes about."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from govid.gateway import connections
from tests.http.client import Client

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def patience() -> float:
    """Return how many seconds the server waits for a head."""
    return connections.HEAD_SECONDS


@pytest.fixture
async def pair(
    shared_server: str, monkeypatch: pytest.MonkeyPatch, patience: float
) -> AsyncIterator[Pair]:
    """Return a bare connection to the server."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", patience)
    address = urlsplit(shared_server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    yield reader, writer
    writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what the server says until it hangs up."""
    return await asyncio.wait_for(reader.read(), 3)


class TestSlowHeads:
    """A head that is not complete in time; uvicorn alone would wait for ever."""

    @pytest.fixture
    def patience(self) -> float:
        return 0.2

    async def test_a_client_that_says_nothing_is_hung_up_on(self, pair: Pair) -> None:
        assert await rest(pair[0]) == b""

    async def test_half_a_head_is_a_408(self, pair: Pair) -> None:
        reader, writer = pair
        writer.write(REQUEST[:-2])
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"urn:govid:problem:request-timeout" in answer

    async def test_a_head_drop_by_drop_gets_no_more_time(self, pair: Pair) -> None:
        reader, writer = pair
        answer = asyncio.create_task(rest(reader))
        writer.write(REQUEST[:-2])
        while not answer.done():
            writer.write(b"X-Filler: y\r\n")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408 ")

    async def test_empty_lines_keep_no_connection(self, pair: Pair) -> None:
        reader, writer = pair
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n")
        assert b"HTTP/1.1 408 " in await rest(reader)

    async def test_half_of_a_second_request_is_a_408_behind_the_first_answer(
        self, pair: Pair
    ) -> None:
        reader, writer = pair
        writer.write(REQUEST + REQUEST[:-2])
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 408 " in answer


async def test_a_head_without_end_is_a_431(pair: Pair) -> None:
    reader, writer = pair
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Filler: ")
    writer.write(b"x" * (connections.HEAD_BYTES + 1))
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"urn:govid:problem:headers-too-large" in answer


async def test_an_address_without_end_is_refused(pair: Pair) -> None:
    reader, writer = pair
    writer.write(b"GET /" + b"x" * (connections.HEAD_BYTES + 1))
    assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")


async def test_requests_in_a_row_and_at_once_are_answered(pair: Pair) -> None:
    reader, writer = pair
    for part in (REQUEST[:10], REQUEST[10:] + REQUEST[:5], REQUEST[5:] + REQUEST):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    found = b""
    while found.count(b"HTTP/1.1 200 ") < 3:
        found += await asyncio.wait_for(reader.read(4096), 3)
    assert found.count(b"HTTP/1.1 ") == 3


async def test_what_is_no_http_is_a_400(pair: Pair, visitor: Client) -> None:
    reader, writer = pair
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")
    assert (await visitor.get("/health/live")).status_code == 200
