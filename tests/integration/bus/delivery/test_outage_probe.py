"""When a department is back, everything that waits for it is tried again at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from govid.bus import Database, Delivery, Outage
from govid.bus.delivery.failures import OutageProbe
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    an_account,
    create_ledger,
    wait_until,
)

PAUSES = "UPDATE bus.parked SET until = clock_timestamp() + interval '5 minutes', reason = $1"


class Nhs:
    """Is away, until it is back."""

    def __init__(self) -> None:
        self.is_away = True
        self.calls = 0

    async def ask(self, _: Delivery[Any]) -> None:
        await asyncio.sleep(0)
        self.calls += 1
        if self.is_away:
            raise Outage("nhs")


@asynccontextmanager
async def recovering(replica: BusFixture) -> AsyncIterator[OutageProbe]:
    recovery = OutageProbe(replica.database, replica.wake)
    task = asyncio.create_task(recovery.run())
    yield recovery
    task.cancel()
    await asyncio.wait([task])


async def pauses(database: Database) -> set[tuple[str, Any]]:
    """Return the keys that will wait for more than a minute, and until when."""
    query = "SELECT key, until FROM bus.parked WHERE until > clock_timestamp() + interval '1 min'"
    return {tuple(row) for row in await database.reads.fetch(query)}


async def probed(nhs: Nhs, calls: int) -> bool:
    return nhs.calls > calls


async def waiting(replica: BusFixture, keys: int) -> bool:
    return await replica.count("parked") == keys


async def test_r6_keys_that_wait_out_an_outage_go_on_when_it_is_over(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    nhs = Nhs()
    replica = BusFixture(bus_settings, database, LedgerHandler(nhs.ask))
    async with replica.run(), recovering(replica) as recovery:
        await replica.emit(an_account(), "a", "b")
        await replica.emit(an_account(), "c")
        await wait_until(lambda: waiting(replica, 2))
        await database.reads.execute(PAUSES, "outage")
        nhs.is_away = False
        recovery.on_recovered([NAME])
        await wait_until(lambda: waiting(replica, 0))
    assert sorted(await replica.labels()) == ["a", "b", "c"]


async def test_r6_as_long_as_no_one_knows_one_key_finds_out(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    nhs = Nhs()
    replica = BusFixture(bus_settings, database, LedgerHandler(nhs.ask))
    async with replica.run():
        await replica.emit(an_account(), "a")
        await replica.emit(an_account(), "b")
        await replica.emit(an_account(), "c")
        await wait_until(lambda: waiting(replica, 3))
    # No dispatcher works now that could overwrite these pauses.
    await database.reads.execute(PAUSES, "outage")
    calls, before = nhs.calls, await pauses(database)
    replica = BusFixture(bus_settings, database, LedgerHandler(nhs.ask))
    async with replica.run(), recovering(replica) as recovery:
        recovery.on_recovered([NAME], is_certain=False)
        await wait_until(lambda: probed(nhs, calls))
        after = await pauses(database)
    assert (len(before), len(before & after)) == (3, 2)


async def test_r6_keys_that_wait_for_another_reason_go_on_waiting(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, LedgerHandler(Nhs().ask))
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: waiting(replica, 1))
    await database.reads.execute(PAUSES, "error")
    before = await database.reads.fetchval("SELECT until FROM bus.parked")
    replica.wake.event(NAME).clear()
    async with recovering(replica) as recovery:
        recovery.on_recovered([NAME])
        await asyncio.wait_for(replica.wake.event(NAME).wait(), 10)
    assert await database.reads.fetchval("SELECT until FROM bus.parked") == before


async def test_r6_another_departments_keys_go_on_waiting(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, LedgerHandler(Nhs().ask))
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: waiting(replica, 1))
    await database.reads.execute(PAUSES, "outage")
    before = await database.reads.fetchval("SELECT until FROM bus.parked")
    async with recovering(replica) as recovery:
        recovery.on_recovered(["hmrc.verification"])
        bell = replica.wake.event("hmrc.verification")
        await asyncio.wait_for(bell.wait(), 10)
    assert await database.reads.fetchval("SELECT until FROM bus.parked") == before
