"""Requirement 2 at the reads of the backlog: nothing in front holds back what stands behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.backlog import Backlog
from govid.bus.consumers import BUCKETS, RELAY
from govid.bus.kafka.debts import Debts
from tests.integration.bus.harness import NAME, House, an_account

OWNED = dict.fromkeys(range(BUCKETS), 1)
DEAD_ROWS = 200_000


@pytest.fixture
async def other(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return a connection of somebody else."""
    connection = await asyncpg.connect(bus_settings.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def graveyard(database: Database, other: Any) -> AsyncIterator[None]:
    """Put many rows in front that are dead and cannot be removed: somebody may still see them."""
    async with other.transaction(isolation="repeatable_read"):
        await other.fetchval("SELECT count(*) FROM bus.delivery")
        async with database.reads.acquire() as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute(
                "INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)"
                " SELECT s, n, n % 64, gen_random_uuid(), 'key/' || n"
                " FROM generate_series(1, $2::int) n, unnest($1::text[]) s",
                [NAME, RELAY],
                DEAD_ROWS,
                timeout=60,
            )
            await connection.execute("DELETE FROM bus.delivery", timeout=60)
            await connection.execute("SELECT setval('bus.event_position', $1)", DEAD_ROWS)
            await connection.execute("RESET statement_timeout")
        yield


async def test_r2_a_module_reads_past_200_000_dead_rows(house: House, graveyard: None) -> None:
    await house.emit(an_account(), "a")
    backlog = Backlog(NAME, house.settings, house.database)
    (debt,) = await backlog.read_whole(OWNED, ())
    assert debt.pos == DEAD_ROWS + 1
    assert await milliseconds(lambda: backlog.read_whole(OWNED, ())) <= 50


async def test_r2_the_relay_reads_past_200_000_dead_rows(house: House, graveyard: None) -> None:
    await house.emit(an_account(), "a")
    always = msgspec.structs.replace(house.settings, poll_seconds=0)
    debts = Debts(always, house.database)
    (row,) = await debts.read(OWNED, (), ())
    assert row["pos"] == DEAD_ROWS + 1
    assert await milliseconds(lambda: debts.read(OWNED, (), ())) <= 50


async def milliseconds(read: Callable[[], Awaitable[Any]]) -> float:
    """Return the median time of a few reads."""
    taken = []
    for _ in range(7):
        began = perf_counter()
        await read()
        taken.append((perf_counter() - began) * 1000)
    return median(taken)


async def test_r2_events_that_somebody_deleted_do_not_hold_back_the_next(house: House) -> None:
    settings = msgspec.structs.replace(house.settings, batch_size=2, relay_batch_size=2)
    await house.emit(an_account(), *"abcde")
    async with house.database.reads.acquire() as connection, connection.transaction():
        # Only a superuser can: the rows are immutable for everybody else.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM bus.event WHERE seq < 5")
    (debt,) = await Backlog(NAME, settings, house.database).read(OWNED, ())
    (row,) = await Debts(settings, house.database).read(OWNED, (), ())
    assert (debt.seq, row["seq"]) == (5, 5)


async def test_r2_no_plan_sorts_the_backlog_whatever_the_statistics_say(house: House) -> None:
    # Analyzed while it was empty, as it is most of the time.
    await house.database.reads.execute("ANALYZE bus.delivery")
    await house.emit(an_account(), *("x" for _ in range(300)))
    plan = await house.database.bus_reads.fetch(
        "EXPLAIN SELECT pos FROM bus.delivery"
        " WHERE subscriber = 'tests.ledger' AND pos > 0 ORDER BY pos LIMIT 10"
    )
    assert [line[0].split("  (")[0].strip() for line in plan[:2]] == [
        "Limit",
        "->  Index Only Scan using delivery_pkey on delivery",
    ]
