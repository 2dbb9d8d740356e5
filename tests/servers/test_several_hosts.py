"""Several hosts in GOVID_DATABASE_URL: which of them `check` and `serve` name, and why."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from govid.bus.storage.connection import ConnectionFactory, DatabaseUnreachable
from govid.gateway.migrations import upgrade
from tests.backends import forked_commands
from tests.backends.debian_postgres import DebianServer, debian_server, standby_of
from tests.backends.govid import BASE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

FAULT = 5
REFUSED = 3
UNREACHABLE = 4


class ServerPair(NamedTuple):
    """A primary and a standby of it, and a folder without settings."""

    primary: DebianServer
    standby: DebianServer
    folder: Path

    @property
    def places(self) -> tuple[str, str]:
        """The hosts as sentences name them."""
        return f"127.0.0.1:{self.primary.port}", f"127.0.0.1:{self.standby.port}"

    def check(self, *hosts: str) -> tuple[int | None, list[str]]:
        """Run `govid check` with *hosts*, by default both."""
        return self._run(["check"], hosts)

    def serve(self, *hosts: str) -> tuple[int | None, list[str]]:
        """Run `govid serve` with *hosts*, which have to refuse it."""
        return self._run(["serve"], hosts)

    def run(self, *command: str) -> tuple[int | None, list[str]]:
        """Run `govid` with the arguments *command* and both hosts."""
        return self._run(command, ())

    def url(self, *hosts: str) -> str:
        """Return the URL of *hosts*, by default both, of which the one that accepts writes."""
        url = self.primary.url().replace(self.places[0], ",".join(hosts or self.places))
        return f"{url}?target_session_attrs=read-write"

    def _run(self, command: Sequence[str], hosts: tuple[str, ...]) -> tuple[int | None, list[str]]:
        environment: Mapping[str, str] = {
            **BASE,
            "GOVID_DATABASE_URL": self.url(*hosts),
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "GOVID_PORT": "0",
        }
        return forked_commands.run(*command, folder=self.folder, environment=environment)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[ServerPair]:
    with debian_server() as primary:
        upgrade(primary.url())
        with standby_of(primary) as standby:
            yield ServerPair(primary, standby, tmp_path)


def about_hosts(lines: list[str]) -> list[str]:
    """Return the lines that tell of hosts."""
    return [one for one in lines if "127.0.0.1:" in one and "no Kafka answers" not in one]


def test_hosts_are_named_in_every_state_of_a_failover(pair: ServerPair) -> None:
    old, new = pair.places
    unreachable = (
        "warning: no connection to PostgreSQL at {} (connection refused): "
        "GOVID_DATABASE_URL names it, and no fail-over to it is possible"
    )
    # A standby beside its primary is as it should be, and so is a second name of the primary.
    for hosts in ((old, new), (new, old), (old, old.replace("127.0.0.1", "localhost"))):
        code, lines = pair.check(*hosts)
        assert (code, about_hosts(lines)) == (0, [])

    pair.primary.stop("fast")
    only_standby = (
        f"no server at {old}, {new} accepts writes ({old}: connection refused; {new}: it is a "
        "standby, or read-only); promote a standby, or name the primary in the URL"
    )
    code, lines = pair.check()
    assert (code, about_hosts(lines)) == (FAULT, [f"fault: {only_standby}"])
    code, lines = pair.serve()
    assert (code, about_hosts(lines)) == (UNREACHABLE, [f"govid: {only_standby}."])

    pair.standby.promote()
    code, lines = pair.check()
    assert (code, about_hosts(lines)) == (0, [unreachable.format(old)])

    pair.primary.start()
    two_primaries = (
        f"2 hosts of GOVID_DATABASE_URL accept writes: {old} (timeline 1), {new} (timeline 2). "
        "Each has commits that the other lacks: stop the one that was replaced, usually that of "
        "the lower timeline, and make it a standby before it starts again (docs/operations.md, "
        "Fail-over)"
    )
    code, lines = pair.check()
    assert (code, about_hosts(lines)) == (FAULT, [f"fault: {two_primaries}"])
    code, lines = pair.serve()
    assert (code, about_hosts(lines)) == (REFUSED, [f"govid: {two_primaries}."])
    code, lines = pair.run("outbox", "status")
    assert (code, about_hosts(lines)) == (REFUSED, [f"govid: {two_primaries}."])

    pair.primary.stop("fast")
    code, lines = pair.check()
    assert (code, about_hosts(lines)) == (0, [unreachable.format(old)])


async def port_of(factory: ConnectionFactory) -> int:
    """Return the port of the server that *factory* chooses."""
    connection = await factory.connect()
    try:
        return int(await connection.fetchval("SELECT inet_server_port()"))
    finally:
        await connection.close()


async def test_no_connection_of_a_process_returns_to_a_primary_that_was_replaced(
    pair: ServerPair,
) -> None:
    # One factory for requests and one for handlers, say: the second opens nothing meanwhile.
    busy, idle = (ConnectionFactory(pair.url()) for _ in range(2))
    assert [await port_of(one) for one in (busy, idle)] == [pair.primary.port] * 2
    await asyncio.to_thread(pair.primary.stop)
    await asyncio.to_thread(pair.standby.promote)
    assert await port_of(busy) == pair.standby.port
    await asyncio.to_thread(pair.primary.start)
    assert await port_of(idle) == pair.standby.port
    await asyncio.to_thread(pair.standby.stop)
    old, new = pair.places
    with pytest.raises(DatabaseUnreachable) as caught:
        await idle.connect()
    assert str(caught.value) == (
        f"no server at {old}, {new} accepts writes ({old}: it is on timeline 1, and a server on "
        f"timeline 2 has replaced it; restart govid if it was restored; {new}: connection "
        "refused); promote a standby, or name the primary in the URL"
    )
