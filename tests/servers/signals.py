"""What the tests of signals share: servers of one database, and waiting for what they answer."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import psutil

from tests.backends.govid import Govid

PATIENCE_SECONDS = 60


class StartServer(Protocol):
    """Starts `govid serve` on a database of the test, without a Kafka."""

    def __call__(self, workers: int = 1, **settings: str) -> Govid:
        """Return the server, once it is ready."""


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *condition* holds, with a deadline that fails the test."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def fetch(url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Fetch *url* on a connection of its own."""
    async with httpx.AsyncClient(timeout=10) as client:
        return await client.get(url, headers=headers)


async def wait_until_ready(*urls: str) -> None:
    """Wait until each server of *urls* is ready."""

    async def all_are_ready() -> bool:
        try:
            answers = [await fetch(f"{url}/health/ready") for url in urls]
        except httpx.TransportError:
            return False
        return all(answer.status_code == httpx.codes.OK for answer in answers)

    await wait_until(all_are_ready)


def find_workers(server: Govid) -> list[psutil.Process]:
    """Return the workers of *server*, without the helper of Python's multiprocessing."""
    children = psutil.Process(server.pid).children()
    return [one for one in children if "spawn_main" in " ".join(one.cmdline())]


def accepts_connections(url: str) -> bool:
    """Return whether a new connection to the server of *url* is accepted."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    try:
        socket.create_connection((address.hostname, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


async def wait_until_refused(server: Govid) -> None:
    """Wait until the listener of *server* is closed."""

    async def is_refused() -> bool:
        return not await asyncio.to_thread(accepts_connections, server.url)

    await wait_until(is_refused)


async def wait_until_draining(url: str) -> httpx.Response:
    """Wait until the server of *url* reports that it is not ready; return that answer.

    Each worker begins its drain by itself: without a port of its own, the first one answers.
    """
    answers: list[httpx.Response] = []

    async def is_unready() -> bool:
        answers.append(await fetch(f"{url}/health/ready"))
        return answers[-1].status_code != httpx.codes.OK

    await wait_until(is_unready)
    return answers[-1]
