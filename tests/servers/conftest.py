"""Servers that a test may break."""

from collections.abc import Iterator

import pytest

from govid.gateway.migrations import upgrade
from tests.backends.debian_postgres import DebianServer, debian_server, standby_of
from tests.backends.switch import SwitchedPort, switched_port


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
