"""The management ports of `govid serve`: one for each worker."""

import os
import socket
from pathlib import Path

import pytest

from tests.backends.govid import BASE
from tests.backends.ports import free_port
from tests.integration.cli.processes import govid
from tests.servers.signals import StartServer, fetch, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_each_worker_has_a_management_port(start: StartServer) -> None:
    first = free_port()
    start(workers=2, GOVID_MANAGEMENT_PORT=str(first))
    urls = [f"http://127.0.0.1:{port}" for port in (first, first + 1)]

    async def all_are_ready() -> bool:
        return all([(await fetch(f"{url}/health/ready")).status_code == 200 for url in urls])

    await wait_until(all_are_ready)
    started = [
        line
        for url in urls
        for line in (await fetch(f"{url}/metrics")).text.splitlines()
        if line.startswith("process_start_time_seconds")
    ]
    assert len(set(started)) == 2


@pytest.mark.parametrize(
    ("offset", "port", "remedy"),
    [
        (1, None, "GOVID_MANAGEMENT_PORT"),
        (0, 65_535, "Each worker has one of its own"),
    ],
)
def test_a_port_that_a_worker_cannot_have_is_refused(
    production_url: str, tmp_path: Path, offset: int, port: int | None, remedy: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {
            **os.environ,
            **BASE,
            "GOVID_DATABASE_URL": production_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_PORT": "0",
            "GOVID_MANAGEMENT_PORT": str(port or taken.getsockname()[1] - offset),
        }
        ended = govid("serve", "--workers", "2", env=env, cwd=tmp_path)
    assert ended.code == 1
    assert remedy in ended.stderr.splitlines()[-1]
