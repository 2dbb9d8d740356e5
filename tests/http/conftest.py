"""The whole application, over real HTTP, on a database of its own for each test.

Nobody is at Kafka's address, which changes nothing for a client: events are handled from the
outbox.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import uvicorn

from govid.gateway.app import create_app
from govid.gateway.settings import Settings, load
from tests.http.client import Client

READY_SECONDS = 10


@pytest.fixture
def overrides() -> dict[str, object]:
    """Return settings of a test's own."""
    return {}


@pytest.fixture
def settings(database_url: str, tmp_path: Path, overrides: dict[str, object]) -> Settings:
    """Return the settings of a demonstration whose simulated death does not come by itself."""
    return load(
        {
            "GOVID_DATABASE_URL": database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_DATA_DIR": tmp_path,
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_SIMULATE_DEATH_EVENT": False,
            "GOVID_ARGON2_MEMORY_KIB": 19_456,
            "GOVID_LOG_FORMAT": "json",
            **overrides,
        },
        demonstration=True,
        env_file=None,
    )


@pytest.fixture
async def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve the application on a free port; return its URL."""
    # What waits for a Kafka that is never there need not be waited for at the end.
    monkeypatch.setattr("govid.bus.kafka.room.FINISH_SECONDS", 0.01)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        running = uvicorn.Server(
            uvicorn.Config(
                create_app(settings),
                http="httptools",
                lifespan="on",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
            )
        )
        task = asyncio.create_task(running.serve(sockets=[listener]))
        async with asyncio.timeout(READY_SECONDS):
            await _until(lambda: running.started or task.done())
        assert running.started
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"
        running.should_exit = True
        await task


@pytest.fixture
async def client(server: str) -> AsyncIterator[Client]:
    """Return a client of the server."""
    async with httpx.AsyncClient(base_url=server, timeout=10) as http:
        yield Client(http)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)
