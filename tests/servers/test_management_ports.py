"""The management ports of `govid serve`: one for each worker."""

import os
import socket
from pathlib import Path

import psutil
import pytest

from tests.backends.govid import BASE
from tests.backends.ports import free_port
from tests.integration.cli.processes import govid
from tests.servers.signals import StartServer, fetch, find_workers, wait_until_ready

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_each_worker_has_a_management_port(start: StartServer) -> None:
    first = free_port()
    server = start(workers=2, GOVID_MANAGEMENT_PORT=str(first))
    ports = {first, first + 1}
    await wait_until_ready(*(f"http://127.0.0.1:{port}" for port in ports))
    listening = [
        {one.laddr.port for one in worker.net_connections() if one.status == psutil.CONN_LISTEN}
        for worker in find_workers(server)
    ]
    assert sorted(min(found & ports) for found in listening) == sorted(ports)
    assert [len(found & ports) for found in listening] == [1, 1]
    answers = [await fetch(f"http://127.0.0.1:{port}/metrics") for port in ports]
    assert [one.status_code for one in answers] == [200, 200]


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


def test_a_worker_cannot_have_the_port_of_the_service(production_url: str, tmp_path: Path) -> None:
    port = free_port()
    env = {
        **os.environ,
        **BASE,
        "GOVID_DATABASE_URL": production_url,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GOVID_PORT": str(port),
        "GOVID_MANAGEMENT_PORT": str(port - 1),
    }
    ended = govid("serve", "--workers", "2", env=env, cwd=tmp_path)
    assert ended.code == 1
    assert f"the management port of worker 1 would be {port}, the port of the service." in (
        ended.stderr
    )
