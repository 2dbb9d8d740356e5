"""Requirement 12: whoever has something to do hears of it at once, or else within the interval."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import pytest

from govid.bus import BusSettings, Database, Delivery
from govid.bus.wake import Notifier
from tests.integration.bus.harness import House, Ledger, an_account, create_ledger, until

EVENTS = 200


class Listener(Ledger):
    """Notes when it has handled an event, as nearly as can be seen from inside."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = asyncio.Event()

    async def apply(self, tx: Any, delivery: Delivery[Any], outcome: None) -> None:
        await super().apply(tx, delivery, outcome)
        tx.after_commit(self.handled.set)


@pytest.fixture
async def listener(bus_settings: BusSettings) -> Listener:
    """Return a handler that tells when it is through."""
    await create_ledger(bus_settings.database_url)
    return Listener()


@pytest.fixture
async def notified(bus_settings: BusSettings, listener: Listener) -> AsyncIterator[House]:
    """Return a running replica that hears of others' commits by NOTIFY only."""
    async with Database(bus_settings) as database:
        house = House(bus_settings, database, listener)
        notifier = Notifier(bus_settings.database_url, house.wake, lambda: 2)
        task = asyncio.create_task(notifier.run())
        async with house.running():
            yield house
        task.cancel()
        await asyncio.wait([task])


async def test_r12_a_handler_is_through_within_milliseconds_of_a_commit(
    bus_settings: BusSettings, database: Database, listener: Listener
) -> None:
    house = House(bus_settings, database, listener)
    async with house.running():
        taken = sorted([await seconds(house, listener) for _ in range(EVENTS)])
    assert taken[EVENTS // 2] <= 0.010
    assert taken[EVENTS * 99 // 100 - 1] <= 0.050


async def seconds(house: House, listener: Listener) -> float:
    """Return how long one event takes from its commit on."""
    listener.handled.clear()
    await house.emit(an_account(), "x")
    began = perf_counter()
    await listener.handled.wait()
    return perf_counter() - began


async def test_r12_a_dead_listener_costs_at_most_the_poll_interval(
    notified: House, listener: Listener, database: Database
) -> None:
    await until(lambda: listens(database))
    await database.reads.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'govid wake' AND datname = current_database()"
    )
    # Another replica commits, and nobody here is told.
    elsewhere = House(notified.settings, database, listener)
    await elsewhere.emit(an_account(), "x")
    began = perf_counter()
    async with asyncio.timeout(10):
        await listener.handled.wait()
    # Beside the interval there is what a busy machine needs for one event.
    assert perf_counter() - began <= notified.settings.poll_seconds + 0.5


async def listens(database: Database) -> bool:
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'govid wake'"
        " AND datname = current_database() AND query LIKE 'LISTEN%')"
    )
    return bool(await database.reads.fetchval(query))
