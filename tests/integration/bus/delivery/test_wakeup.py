"""Requirement 12: a subscriber is woken up at once, or else polls within the interval."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.delivery.wakeup import WakeupNotifier
from tests.integration.bus.harness import (
    DEADLINE_SECONDS,
    BusFixture,
    an_account,
    create_ledger,
    wait_until,
)
from tests.integration.bus.signalling_handler import SignallingHandler

EVENTS = 50


@pytest.fixture
async def listener(bus_settings: BusSettings) -> SignallingHandler:
    """Return a handler that tells when it is through."""
    await create_ledger(bus_settings.database_url)
    return SignallingHandler()


@pytest.fixture
async def notified(
    bus_settings: BusSettings, listener: SignallingHandler
) -> AsyncIterator[BusFixture]:
    """Return a running replica that hears of others' commits by NOTIFY only."""
    async with Database(bus_settings) as database:
        replica = BusFixture(bus_settings, database, listener)
        notifier = WakeupNotifier(bus_settings.database_url, replica.wake, lambda: 2)
        task = asyncio.create_task(notifier.run())
        async with replica.run():
            yield replica
        task.cancel()
        await asyncio.wait([task])


async def test_r12_a_commit_is_handled_although_no_one_polls(
    bus_settings: BusSettings, database: Database, listener: SignallingHandler
) -> None:
    never = msgspec.structs.replace(bus_settings, poll_seconds=3600.0)
    replica = BusFixture(never, database, listener)
    async with replica.run(), asyncio.timeout(DEADLINE_SECONDS):
        for _ in range(EVENTS):
            listener.handled.clear()
            await replica.emit(an_account(), "x")
            await listener.handled.wait()
    assert await replica.labels() == ["x"] * EVENTS


async def test_r12_a_dead_listener_costs_at_most_the_poll_interval(
    notified: BusFixture, listener: SignallingHandler, database: Database
) -> None:
    await wait_until(lambda: listens(database))
    await database.reads.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'govid wake' AND datname = current_database()"
    )
    # Another replica commits, and this one is not notified.
    elsewhere = BusFixture(notified.settings, database, listener)
    await elsewhere.emit(an_account(), "x")
    # The next poll finds it: nothing else could.
    async with asyncio.timeout(DEADLINE_SECONDS):
        await listener.handled.wait()
    assert await notified.labels() == ["x"]


async def listens(database: Database) -> bool:
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'govid wake'"
        " AND datname = current_database() AND query LIKE 'LISTEN%')"
    )
    return bool(await database.reads.fetchval(query))
