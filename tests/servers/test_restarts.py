"""C3: a server that restarts costs no event an attempt, whatever its department does meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from govid.bus import BusSettings, Database, Delivery, Outage
from govid.bus.storage.workers import supervise_worker
from govid.gateway.migrations import upgrade
from tests.backends.debian_postgres import DebianServer, debian_server
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    an_account,
    create_ledger,
    wait_until,
)

EVENTS = 12
RESTARTS = 3
AWAY_SECONDS = 1.5


@asynccontextmanager
async def running(replica: BusFixture) -> AsyncIterator[None]:
    """Run the workers as a process does: one that fails begins again."""
    works = {"leases": replica.leases.run, NAME: replica.dispatcher.run}
    tasks = [asyncio.create_task(supervise_worker(name, work)) for name, work in works.items()]
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture(params=["tcp", "socket"])
def server_url(request: pytest.FixtureRequest, primary: DebianServer) -> Iterator[str]:
    """Return a server's URL by TCP, and by a Unix socket, which is gone while it is down."""
    if request.param == "tcp":
        yield primary.url()
        return
    with debian_server(unix_socket_directories="/tmp") as server:  # noqa: S108 - a server's own
        upgrade(server.url())
        request.node.primary = server
        yield server.url().replace(f"@127.0.0.1:{server.port}/", "@/") + (
            f"?host=/tmp&port={server.port}"
        )


@pytest.mark.timeout(240)
async def test_c3_restarts_cost_no_attempt(
    request: pytest.FixtureRequest, primary: DebianServer, server_url: str
) -> None:
    server = getattr(request.node, "primary", primary)
    ends = time.monotonic() + 8

    settings = BusSettings(
        database_url=server_url,
        kafka_bootstrap_servers="127.0.0.1:1",
        pseudonym_key=b"a key for tests, 32 bytes or more",
        backoff_limit_seconds=0.2,
        lease_seconds=3,
    )
    await create_ledger(server.url())
    async with Database(settings) as database:

        async def ask_the_department(delivery: Delivery[object]) -> None:
            await database.reads.fetchval("SELECT pg_sleep(0.02)")
            async with database.requests.connect() as connection:
                await connection.exec_driver_sql("SELECT pg_sleep(0.02)")
            if time.monotonic() < ends:
                raise Outage("hmrc")

        replica = BusFixture(settings, database, LedgerHandler(ask_the_department))
        await replica.emit(an_account(), *(f"{n}" for n in range(EVENTS)))
        for _ in range(EVENTS):
            await replica.emit(an_account(), "other")
        async with running(replica):
            for _ in range(RESTARTS):
                await asyncio.sleep(AWAY_SECONDS)  # events are being handled meanwhile
                await asyncio.to_thread(server.stop, "immediate")
                await asyncio.to_thread(server.start)

            async def all_are_done() -> bool:
                try:
                    return await replica.count_pending() == 0
                except OSError:
                    return False

            await wait_until(all_are_done)
        assert replica.metric_value("deliveries_total", subscriber=NAME, outcome="error") is None
        assert len(await replica.labels()) == 2 * EVENTS
