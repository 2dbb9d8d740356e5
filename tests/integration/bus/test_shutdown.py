"""Requirement 6: shutdown ends in time, even if backends do not answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import make_url

from govid.bus import BusSettings, Module, Subscriber, SystemClock
from govid.bus.events import VerificationRequested
from govid.bus.runtime import Bus
from tests.backends import cluster, postgres
from tests.chaos.proxy import Proxy, Way
from tests.integration.bus.harness import (
    CONTEXT,
    NAME,
    LedgerHandler,
    a_request,
    an_account,
    create_ledger,
    wait_until,
)

STOP_SECONDS = 10
ACCOUNTS = 6


@pytest.fixture(scope="module")
def on_a_port() -> Iterator[tuple[str, str]]:
    """Return a server that listens on a port, and a template: a socket's file takes no proxy."""
    with cluster.server() as url:
        yield url, postgres.prepare_template(url)


@pytest.fixture
async def settings(on_a_port: tuple[str, str]) -> AsyncIterator[BusSettings]:
    """Return settings of a bus on a fresh database of that server."""
    server, template = on_a_port
    url = await postgres.clone(server, template)
    yield BusSettings(
        database_url=url,
        kafka_bootstrap_servers="127.0.0.1:1",
        pseudonym_key=b"a key for tests, 32 bytes or more",
    )
    await postgres.drop(server, url)


@pytest.fixture
async def way(settings: BusSettings) -> AsyncIterator[Proxy]:
    """Return a way to the test's database."""
    url = make_url(settings.database_url)
    async with Proxy(url.host or "", url.port or 0) as proxy:
        yield proxy


@pytest.fixture
async def silence() -> AsyncIterator[Proxy]:
    """Return a Kafka that takes connections, and nothing else."""
    async with Proxy("127.0.0.1", 1) as proxy:
        proxy.swallow(*Way)
        yield proxy


class Patience:
    """Keeps events in work until a test releases them."""

    def __init__(self) -> None:
        self.held = 0
        self.over = asyncio.Event()

    async def __call__(self, _delivery: Any) -> None:
        self.held += 1
        await self.over.wait()


def a_bus(settings: BusSettings, way: Proxy, silence: Proxy, patience: Patience) -> Bus:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=way.port)
    bus = Bus(
        msgspec.structs.replace(
            settings,
            database_url=url.render_as_string(hide_password=False),
            kafka_bootstrap_servers=f"127.0.0.1:{silence.port}",
        ),
        SystemClock(),
    )
    consumer = Subscriber(
        name=NAME, handles=(VerificationRequested,), handler=LedgerHandler(patience)
    )
    bus.add_module(Module(name="tests", subscribers=(consumer,)))
    return bus


async def all_in_work(patience: Patience) -> bool:
    return patience.held == ACCOUNTS


@pytest.mark.slow
@pytest.mark.parametrize("in_transactions", [False, True])
async def test_r6_it_stops_in_time_when_database_and_kafka_have_fallen_silent(
    in_transactions: bool, settings: BusSettings, way: Proxy, silence: Proxy
) -> None:
    await create_ledger(settings.database_url)
    patience = Patience()
    bus = a_bus(settings, way, silence, patience)
    await bus.start()
    async with bus.uow.begin(CONTEXT) as tx:
        for n in range(ACCOUNTS):
            tx.emit(a_request(an_account(), f"{n}"))
    await wait_until(lambda: all_in_work(patience))
    way.swallow(*Way)
    asyncio.get_running_loop().call_soon(patience.over.set if in_transactions else bool)
    async with asyncio.timeout(STOP_SECONDS):
        await bus.stop()
