"""Stopping `govid serve` by a signal: the drain, requests under way, and the second signal."""

import asyncio
import signal
import time
from urllib.parse import urlsplit

import psutil
import pytest

from tests.backends.govid import Govid
from tests.backends.ports import free_port
from tests.servers.signals import (
    StartServer,
    fetch,
    wait_until_draining,
    wait_until_ready,
    wait_until_refused,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

BODY = b'{"email": "ada@example.com", "password": "a password of hers"}'
AT_ONCE_SECONDS = 15
"""The bus stops in at most 10 s."""


async def begin_login(server: Govid) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a login without the end of its body, `BODY[10:]`."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /api/auth/login HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    writer.write(head.encode() + BODY[:10])
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("workers", [1, 2])
async def test_readiness_says_no_first_while_other_requests_are_answered(
    start: StartServer, workers: int
) -> None:
    port = free_port()
    server = start(workers, GOVID_DRAIN_SECONDS="4", GOVID_MANAGEMENT_PORT=str(port))
    management = [f"http://127.0.0.1:{port + number}" for number in range(workers)]
    # The other worker may not have started yet.
    await wait_until_ready(*management)
    before = await fetch(f"{server.url}/api/auth/profile")
    server.signal(signal.SIGTERM)
    refusal = await wait_until_draining(server.url)
    draining_at = time.monotonic()
    managed = [await wait_until_draining(url) for url in management]
    during = [await fetch(f"{server.url}{path}") for path in ("/health", "/api/auth/profile")]
    await wait_until_refused(server)
    drained_seconds = time.monotonic() - draining_at

    assert (refusal.status_code, refusal.json()["dependencies"]["server"]) == (503, "draining")
    assert [(one.status_code, one.json()["status"]) for one in managed] == [
        (503, "degraded")
    ] * workers
    assert [one.status_code for one in during] == [200, 401]
    assert "server" not in during[0].json()["dependencies"]
    assert ("connection" in before.headers, during[1].headers["connection"]) == (False, "close")
    assert 2 < drained_seconds < 8
    assert server.wait_for_end(AT_ONCE_SECONDS) == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
async def test_a_request_under_way_is_answered_after_the_listener_has_closed(
    start: StartServer, workers: int, number: signal.Signals
) -> None:
    server = start(workers, GOVID_DRAIN_SECONDS="1")
    reader, writer = await begin_login(server)
    server.signal(number)
    await wait_until_draining(server.url)
    await wait_until_refused(server)
    writer.write(BODY[10:])
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert server.wait_for_end(AT_ONCE_SECONDS) == 0


@pytest.mark.parametrize(
    ("workers", "number"), [(1, signal.SIGTERM), (1, signal.SIGINT), (2, signal.SIGTERM)]
)
async def test_a_second_signal_ends_the_drain_and_requests(
    start: StartServer, workers: int, number: signal.Signals
) -> None:
    server = start(workers, GOVID_DRAIN_SECONDS="300")
    reader, writer = await begin_login(server)
    server.signal(signal.SIGTERM)
    await wait_until_draining(server.url)
    server.signal(number)
    assert await asyncio.to_thread(server.wait_for_end, AT_ONCE_SECONDS) == 0
    assert await reader.read() == b""
    writer.close()


async def test_a_signal_to_all_processes_is_one_request_to_stop(start: StartServer) -> None:
    server = start(2, GOVID_DRAIN_SECONDS="2")
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    reader, writer = await begin_login(server)
    for process in family:
        process.send_signal(signal.SIGTERM)
    await wait_until_refused(server)
    writer.write(BODY[10:])
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert server.wait_for_end(AT_ONCE_SECONDS) == 0


async def test_without_a_drain_the_listener_closes_at_once(start: StartServer) -> None:
    server = start(GOVID_DRAIN_SECONDS="0")
    asked_at = time.monotonic()
    server.signal(signal.SIGTERM)
    await wait_until_refused(server)
    assert time.monotonic() - asked_at < 2
    assert server.wait_for_end(AT_ONCE_SECONDS) == 0
    assert "server.draining" not in server.log.read_text()
