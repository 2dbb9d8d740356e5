"""Slow clients of the management port cannot keep probes of the same address away."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from govid.gateway.endpoints.management import (
    CONNECTIONS,
    CONNECTIONS_PER_NETWORK,
    HEAD_SECONDS,
    serve_management_port,
)
from tests.backends.ports import free_port
from tests.http.test_connection_limits import REQUEST, Dialler

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HALF_BODY = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"


class LargeScrape:
    """Renders more than fits into the buffers of a socket."""

    async def render(self) -> bytes:
        """Return 8 MiB."""
        return bytes(8 * 1024 * 1024)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Return a management port that needs no database for the paths of this file."""
    unused: Any = None
    scrape: Any = LargeScrape()
    port = free_port()
    async with serve_management_port("127.0.0.1", port, scrape, unused):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def dialler(url: str) -> Iterator[Dialler]:
    """Return a way to connect to the port."""
    dialler = Dialler(url)
    yield dialler
    dialler.close()


async def _probe(url: str) -> int:
    async with httpx.AsyncClient(timeout=HEAD_SECONDS / 2) as prober:
        return (await prober.get(f"{url}/health/live")).status_code


@pytest.mark.parametrize(
    "sent",
    [b"", REQUEST[:20], REQUEST, REQUEST + REQUEST[:20], HALF_BODY, SCRAPE, SCRAPE * 2],
    ids=["nothing", "half a head", "one", "one and half a head", "half a body", "large", "larger"],
)
@pytest.mark.parametrize("count", [CONNECTIONS_PER_NETWORK, 5 * CONNECTIONS])
async def test_slow_clients_of_its_address_do_not_keep_a_probe_away(
    url: str, dialler: Dialler, sent: bytes, count: int
) -> None:
    pairs = [await dialler.open(limit=4096) for _ in range(count)]
    [writer.write(sent) for _, writer in pairs]
    answers = [await _probe(url) for _ in range(3)]
    assert answers == [200, 200, 200]


async def test_slow_clients_of_several_addresses_do_not_keep_a_probe_away(
    url: str, dialler: Dialler
) -> None:
    sources = [f"127.0.0.{2 + number % 4}" for number in range(4 * CONNECTIONS)]
    pairs = [await dialler.open(source) for source in sources]
    [writer.write(REQUEST[:20]) for _, writer in pairs]
    assert await _probe(url) == 200


async def test_a_scrape_that_is_read_is_complete_among_slow_clients(
    url: str, dialler: Dialler
) -> None:
    slow = [await dialler.open() for _ in range(CONNECTIONS)]
    [writer.write(SCRAPE) for _, writer in slow]
    async with httpx.AsyncClient(timeout=10) as scraper:
        answer = await scraper.get(f"{url}/metrics")
    assert (answer.status_code, len(answer.content)) == (200, 8 * 1024 * 1024)


async def test_a_head_has_to_arrive_soon(dialler: Dialler) -> None:
    reader, writer = await dialler.open()
    writer.write(REQUEST[:20])
    begun = time.monotonic()
    answer = await asyncio.wait_for(reader.read(), 3 * HEAD_SECONDS)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert HEAD_SECONDS / 2 < time.monotonic() - begun < 2 * HEAD_SECONDS
