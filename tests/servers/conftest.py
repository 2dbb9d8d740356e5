"""Servers that a test may break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from govid.gateway.migrations import upgrade
from tests.backends import cluster
from tests.backends.debian_postgres import DebianServer, debian_server, standby_of
from tests.backends.govid import Govid
from tests.backends.switch import SwitchedPort, switched_port
from tests.servers.signals import StartServer


@pytest.fixture
def primary() -> Iterator[DebianServer]:
    """Return a migrated server of the test's own."""
    with debian_server() as server:
        upgrade(server.url())
        yield server


@pytest.fixture
def standby(primary: DebianServer) -> Iterator[DebianServer]:
    """Return a streaming standby of `primary`."""
    with standby_of(primary) as server:
        yield server


@pytest.fixture
def address(primary: DebianServer) -> Iterator[SwitchedPort]:
    """Return an address that leads to `primary` until it is switched."""
    with switched_port(primary.port) as switch:
        yield switch


@pytest.fixture(scope="module")
def production_url() -> Iterator[str]:
    """Return the URL of a migrated database like production's, for all tests of a file."""
    with cluster.server() as url:
        upgrade(url)
        yield url


@pytest.fixture
def start(production_url: str, tmp_path: Path) -> Iterator[StartServer]:
    """Return a function that starts `govid serve`, which is killed at the end if it still runs."""
    servers: list[Govid] = []

    def start(workers: int = 1, **settings: str) -> Govid:
        server = Govid(
            tmp_path,
            database_url=production_url,
            kafka="127.0.0.1:1",
            extra=settings,
            workers=workers,
        )
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
