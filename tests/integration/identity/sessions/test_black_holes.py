"""A process whose ear hears nothing any more, though nobody has hung up."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import make_url

from govid.bus import BusSettings
from govid.identity.errors import InvalidToken
from tests.backends import cluster, postgres
from tests.chaos.proxy import Proxy, Way
from tests.integration.identity.conftest import Parts
from tests.integration.identity.sessions.processes import (
    REVOKE,
    Process,
    remembering,
    through,
    until,
)


@pytest.fixture(scope="module")
def on_a_port() -> Iterator[tuple[str, str]]:
    """Return a server that listens on a port, and a template: a socket's file takes no proxy."""
    with cluster.server() as url:
        yield url, postgres.prepare_template(url)


@pytest.fixture
async def database_url(on_a_port: tuple[str, str]) -> AsyncIterator[str]:
    """Return the URL of a fresh database of that server."""
    server, template = on_a_port
    url = await postgres.clone(server, template)
    yield url
    await postgres.drop(server, url)


@pytest.fixture
async def token(identity: Parts) -> str:
    """Return the token of somebody who has signed in."""
    await identity.register()
    return await identity.login()


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Proxy]:
    """Return a network between an ear and the database."""
    url = make_url(database_url)
    async with Proxy(url.host or "", url.port or 0) as proxy:
        yield proxy


@pytest.fixture
async def distant(
    identity: Parts, bus_settings: BusSettings, network: Proxy
) -> AsyncIterator[Process]:
    """Return a process whose ear is at the other end of the network."""
    url = through(bus_settings.database_url, network.port)
    async with remembering(identity, bus_settings, url) as process:
        yield process


@pytest.mark.parametrize("ways", [(Way.UP, Way.DOWN), (Way.DOWN,)], ids=["both", "answers"])
async def test_r12_a_black_hole_is_noticed_and_each_request_reads_the_database(
    distant: Process, network: Proxy, token: str, ways: tuple[Way, ...]
) -> None:
    await distant.read(token)
    network.swallow(*ways)
    await until(lambda: not distant.hears)
    asked = distant.reader.asked
    await distant.read(token)
    await distant.read(token)
    assert distant.reader.asked == asked + 2
    await distant.database.reads.execute(REVOKE)
    with pytest.raises(InvalidToken):
        await distant.read(token)


async def test_r12_what_was_said_during_a_black_hole_is_not_missed_after_it(
    distant: Process, network: Proxy, token: str
) -> None:
    network.swallow(Way.UP, Way.DOWN)
    await until(lambda: not distant.hears)
    await distant.read(token)
    await distant.database.reads.execute(REVOKE)
    network.heal()
    await until(lambda: distant.hears)
    with pytest.raises(InvalidToken):
        await distant.read(token)
