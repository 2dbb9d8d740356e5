"""Requirement 2 for fetches of the backlog: nothing in front holds back what is behind it.

How long such reads take is measured by `make bench` (isolation).
"""

from collections.abc import AsyncIterator

import msgspec
import pytest

from govid.bus.delivery.backlog import Backlog
from govid.bus.delivery.subscriptions import BUCKETS
from govid.bus.kafka.relay import RelayBacklog
from tests.integration.bus.dead_rows import dead_rows
from tests.integration.bus.harness import NAME, BusFixture, an_account

OWNED = dict.fromkeys(range(BUCKETS), 1)
DEAD_ROWS = 200_000


@pytest.fixture
async def behind_dead_rows(replica: BusFixture) -> AsyncIterator[None]:
    """Put a graveyard in front of everything."""
    async with dead_rows(replica.settings, replica.database, DEAD_ROWS):
        yield


async def test_r2_a_module_reads_past_200_000_dead_rows(
    replica: BusFixture, behind_dead_rows: None
) -> None:
    await replica.emit(an_account(), "a")
    backlog = Backlog(NAME, replica.settings, replica.database)
    (debt,) = await backlog.fetch_all(OWNED, ())
    assert debt.pos == DEAD_ROWS + 1


async def test_r2_the_relay_reads_past_200_000_dead_rows(
    replica: BusFixture, behind_dead_rows: None
) -> None:
    await replica.emit(an_account(), "a")
    always = msgspec.structs.replace(replica.settings, poll_seconds=0)
    debts = RelayBacklog(always, replica.database)
    (row,) = await debts.fetch_due(OWNED, (), ())
    assert row["pos"] == DEAD_ROWS + 1


async def test_r2_events_that_a_person_deleted_do_not_hold_back_the_next(
    replica: BusFixture,
) -> None:
    settings = msgspec.structs.replace(replica.settings, batch_size=2, relay_batch_size=2)
    await replica.emit(an_account(), *"abcde")
    async with replica.database.reads.acquire() as connection, connection.transaction():
        # Only a superuser can: the rows are immutable for everybody else.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM bus.event WHERE seq < 5")
    (debt,) = await Backlog(NAME, settings, replica.database).fetch_due(OWNED, ())
    (row,) = await RelayBacklog(settings, replica.database).fetch_due(OWNED, (), ())
    assert (debt.seq, row["seq"]) == (5, 5)


async def test_r2_no_plan_sorts_the_backlog_whatever_the_statistics_say(
    replica: BusFixture,
) -> None:
    # Analyzed while it was empty, as it is most of the time.
    await replica.database.reads.execute("ANALYZE bus.delivery")
    await replica.emit(an_account(), *("x" for _ in range(300)))
    plan = await replica.database.bus_reads.fetch(
        "EXPLAIN SELECT pos FROM bus.delivery"
        " WHERE subscriber = 'tests.ledger' AND pos > 0 ORDER BY pos LIMIT 10"
    )
    assert [line[0].split("  (")[0].strip() for line in plan[:2]] == [
        "Limit",
        "->  Index Only Scan using delivery_pkey on delivery",
    ]
