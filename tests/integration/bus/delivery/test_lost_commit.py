"""Requirement 5: a COMMIT that succeeded without an acknowledgement is not done again."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import make_url

from govid.bus import BusSettings, Database, Delivery
from govid.gateway.migrations import upgrade
from tests.backends import cluster
from tests.chaos.proxy import Proxy, Way
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    an_account,
    create_ledger,
    wait_until,
)


class Interrupted(LedgerHandler):
    """After its first write nothing that the server says arrives any more."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._proxies = iter([proxy])

    async def apply(self, tx: Any, delivery: Delivery[Any], outcome: None) -> None:
        await super().apply(tx, delivery, outcome)
        for proxy in self._proxies:
            proxy.swallow(Way.DOWN)


@pytest.fixture(scope="module")
def distant_database() -> Iterator[str]:
    """Return the URL of a migrated database that is reached by TCP."""
    with cluster.server() as server:
        url = cluster.create(server, "govid")
        upgrade(url)
        yield url


@pytest.fixture
async def observer(distant_database: str) -> AsyncIterator[Any]:
    """Return a connection that goes past the proxy."""
    connection = await asyncpg.connect(distant_database)
    yield connection
    await connection.close()


async def test_r5_a_commit_whose_reply_is_lost_has_one_effect(
    bus_settings: BusSettings, distant_database: str, observer: Any
) -> None:
    await create_ledger(distant_database)
    where = make_url(distant_database)
    account = an_account()

    async def labels_are(*expected: str) -> bool:
        rows = await observer.fetch("SELECT label FROM ledger ORDER BY n")
        return tuple(row["label"] for row in rows) == expected

    async with Proxy(str(where.host), int(where.port or 0)) as proxy:
        url = where.set(port=proxy.port).render_as_string(hide_password=False)
        settings = msgspec.structs.replace(bus_settings, database_url=url)
        async with Database(settings) as database:
            replica = BusFixture(settings, database, Interrupted(proxy))
            await replica.emit(account, "a")
            async with replica.run():
                # Committed, and the handler's side does not know it.
                await wait_until(lambda: labels_are("a"))
                assert (
                    replica.metric_value("deliveries_total", subscriber=NAME, outcome="done")
                    is None
                )
                proxy.drop()
                proxy.heal()
                await wait_until(lambda: has_reported_trouble(replica))
                await replica.emit(account, "b")
                await wait_until(lambda: labels_are("a", "b"))
    assert await observer.fetchval("SELECT count(*) FROM bus.receipt") == 2
    assert await observer.fetchval("SELECT count(*) FROM bus.parked") == 0


async def has_reported_trouble(replica: BusFixture) -> bool:
    return replica.metric_value("deliveries_total", subscriber=NAME, outcome="transient") == 1
