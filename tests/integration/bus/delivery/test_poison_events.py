"""Requirement 8: a poison event stops its own key, and no other."""

import asyncio
import sys

import pytest

from govid.bus import BusSettings, Database
from govid.bus.delivery.backlog import LOOKBEHIND_ROWS, Backlog
from tests.integration.bus.crashing_replica import FATAL_LABEL, STATUS
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    an_account,
    create_ledger,
    wait_until,
)


async def run_crasher(database_url: str, step: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.bus.crashing_replica", database_url, step
    )
    return await process.wait()


@pytest.mark.parametrize("step", ["prepare", "apply"])
async def test_r8_an_event_that_kills_the_process_is_found_and_parked(
    replica: BusFixture, step: str
) -> None:
    doomed = an_account()
    for n in range(6):
        await replica.emit(an_account(), f"before-{n}")
    await replica.emit(doomed, FATAL_LABEL, "behind")
    for n in range(6):
        await replica.emit(an_account(), f"after-{n}")
    url = replica.settings.database_url
    # Once among others, which proves nothing against any of them; three times alone.
    ends = [await run_crasher(url, step) for _ in range(5)]
    assert ends == [STATUS, STATUS, STATUS, STATUS, 0]
    row = await replica.database.reads.fetchrow("SELECT reason, crashes, attempts FROM bus.parked")
    assert tuple(row) == ("crash", 3, 0)
    assert len(await replica.labels()) == 12
    assert await replica.count_pending() == 2


async def test_r8_events_behind_a_parked_key_are_passed_over_once_an_interval(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, LedgerHandler())
    await flood(replica, LOOKBEHIND_ROWS + 500)
    await replica.emit(an_account(), "free")
    backlog = Backlog(NAME, bus_settings, database)
    buckets = dict.fromkeys(range(64), 1)
    (first,) = await backlog.fetch_all(buckets, ())

    async def has_risen() -> bool:
        # Once the transactions of that time have ended, other databases' among them.
        await backlog.fetch_all(buckets, ())
        return backlog._watermark.position == first.pos - LOOKBEHIND_ROWS

    await wait_until(has_risen)
    await replica.emit(an_account(), "free too")
    (again, second) = await backlog.fetch_due(buckets, ())
    assert (again.pos, second.pos) == (first.pos, first.pos + 1)


async def flood(replica: BusFixture, events: int) -> None:
    account = an_account()
    for _ in range(events // 500):
        await replica.emit(account, *(["stuck"] * 500))
    await replica.database.reads.execute(
        """INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason,
                                   fingerprint, error_class)
           SELECT $1, key, id, 'infinity', 8, 'error', 'f', 'builtins.ValueError'
           FROM bus.event ORDER BY pos LIMIT 1""",
        NAME,
    )
