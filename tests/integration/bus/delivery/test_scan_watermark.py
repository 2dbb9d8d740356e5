"""Requirement 3 for fetches above the scan watermark: a key begins with its first event."""

from collections.abc import AsyncIterator, Collection
from typing import Any

import asyncpg
import msgspec
import pytest

from govid.bus import BusSettings
from govid.bus.delivery import backlog
from govid.bus.delivery.backlog import QUERIES, Backlog
from govid.bus.delivery.subscriptions import BUCKETS, RELAY, bucket_for_key
from govid.bus.events import OutboxBackfilled
from govid.bus.kafka.relay import QUERIES as RELAY_QUERIES
from govid.bus.kafka.relay import RelayBacklog
from govid.bus.operations.operator_actions import ChangedDelivery, OperatorAction, OperatorActions
from tests.integration.bus.harness import (
    CONTEXT,
    NAME,
    BusFixture,
    a_request,
    an_account,
    wait_until,
)

OWNED = dict.fromkeys(range(BUCKETS), 1)

# A clock that says a second more at each look: the time that a slow read takes.
HURRY = """
    CREATE SCHEMA hurry;
    CREATE SEQUENCE hurry.looks;
    CREATE FUNCTION hurry.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        RETURN pg_catalog.clock_timestamp() + nextval('hurry.looks') * interval '1 second';
    SET search_path = hurry, pg_catalog;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
"""
PARK = """
    INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,
                            error_class)
    SELECT d.subscriber, d.key, d.event_id, clock_timestamp() + interval '3.5 seconds',
           1, 'error', 'f', 'builtins.ValueError'
    FROM bus.delivery d JOIN bus.event e ON e.id = d.event_id WHERE e.seq = 1
"""


@pytest.fixture
async def hurried(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return a connection whose clock runs while a statement does."""
    connection: Any = await asyncpg.connect(bus_settings.database_url)
    await connection.execute(HURRY)
    yield connection
    await connection.close()


async def test_r3_a_key_whose_pause_ends_during_a_read_waits_for_the_next(
    replica: BusFixture, hurried: Any
) -> None:
    await replica.emit(an_account(), *"abcdef")
    await replica.database.reads.execute(PARK)
    rows = await hurried.fetch(QUERIES["backlog"], NAME, list(OWNED), [], 10, 0)
    relayed = await hurried.fetch(
        RELAY_QUERIES["relay_backlog"], RELAY, list(OWNED), [], [], 10, 0, []
    )
    assert (rows, relayed) == ([], [])


class Reader:
    """A backlog of a replica whose scan watermark is just below what can be handled."""

    def __init__(self, replica: BusFixture) -> None:
        settings = msgspec.structs.replace(replica.settings, poll_seconds=600)
        self.backlog = Backlog(NAME, settings, replica.database)

    async def settle(self) -> None:
        """Look at everything until no transaction of before is left, and the floor has risen."""
        for _ in range(2):
            await self.backlog.fetch_all(OWNED, ())

    async def read(self, *, whole: bool = False) -> list[int | None]:
        """Return the numbers of pending deliveries, each within its key."""
        read = self.backlog.fetch_all if whole else self.backlog.fetch_due
        return [debt.seq for debt in await read(OWNED, ())]


@pytest.fixture
def reader(replica: BusFixture, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Return a reader with a small margin, so that tests need not fill it."""
    monkeypatch.setattr(backlog, "LOOKBEHIND_ROWS", 5)
    return Reader(replica)


async def test_r3_a_key_that_goes_on_between_two_whole_reads_begins_at_its_first_event(
    replica: BusFixture, reader: Reader
) -> None:
    stuck = an_account()
    await replica.emit(stuck, *"abcdefgh")
    await replica.database.reads.execute(PARK)
    await replica.emit(an_account(), "free")

    async def is_settled() -> bool:
        # Other databases of the server have transactions, too.
        await reader.settle()
        return reader.backlog._watermark.position == 9 - 5

    await wait_until(is_settled)
    await replica.database.reads.execute("DELETE FROM bus.parked")
    assert await reader.read() == [1]
    assert await reader.read(whole=True) == [1, 2, 3, 4, 5, 6, 7, 8, 1]


async def test_r3_what_commits_late_comes_before_the_next_of_its_key(
    replica: BusFixture, reader: Reader
) -> None:
    slow = an_account()
    async with replica.uow.begin(CONTEXT) as tx:
        tx.emit(a_request(slow, "first"))
        await replica.outbox.write(tx.driver, tx.drain_emissions())
        await replica.emit(an_account(), *"abcdefghijklmnop")
        await replica.database.reads.execute("DELETE FROM bus.delivery")
        await reader.settle()
    await replica.emit(slow, "second")
    assert await reader.read() == [1, 2]


async def test_r3_a_bucket_that_was_gained_is_looked_at_from_its_beginning(
    replica: BusFixture, reader: Reader
) -> None:
    account = an_account()
    await replica.emit(account, *"abcdefghijklmnop")
    others = dict(OWNED)
    del others[bucket_for_key(f"verification/{account}")]

    async def has_risen() -> bool:
        assert await reader.backlog.fetch_all(others, ()) == []
        return reader.backlog._watermark.position > 0

    await wait_until(has_risen)
    assert await reader.read() == list(range(1, 17))


async def test_r3_after_an_operators_action_everything_is_looked_at(
    replica: BusFixture, reader: Reader
) -> None:
    await replica.emit(an_account(), *"abcdefghijklmnop")
    async with replica.database.reads.acquire() as connection:
        await connection.execute("CREATE TEMP TABLE taken AS SELECT * FROM bus.delivery")
        await connection.execute("DELETE FROM bus.delivery")
        await reader.settle()
        assert await reader.read() == []

        async def give_back() -> list[ChangedDelivery]:
            rows = await connection.fetch(
                "INSERT INTO bus.delivery SELECT * FROM taken RETURNING subscriber, event_id"
            )
            return [(row["subscriber"], row["event_id"]) for row in rows]

        act = OperatorAction(kind=OutboxBackfilled, operator="somebody", reason="a test")
        await OperatorActions(connection, replica.outbox).commit_batch(act, give_back)
        await connection.execute("DROP TABLE taken")
    assert await reader.read() == list(range(1, 17))


async def test_r3_where_too_many_keys_are_stuck_nothing_is_left_out(
    replica: BusFixture, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MAX_SKIPPED_KEYS", 1)
    for _ in range(2):
        await replica.emit(an_account(), *"abcdefgh")
    await replica.database.reads.execute(PARK)
    await replica.emit(an_account(), "free")
    await reader.settle()
    assert reader.backlog._watermark.position == 0
    assert await reader.read() == [1]


@pytest.mark.parametrize("sent", [7, 10, 15])
async def test_r3_the_relay_goes_on_with_keys_whose_first_events_it_is_sending(
    replica: BusFixture, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    # A delivery that is being sent is complete in a moment: a watermark above it would leave its
    # key out until the next full scan, although the rest of the key can be sent.
    monkeypatch.setattr(backlog, "LOOKBEHIND_ROWS", 5)
    await replica.emit(an_account(), *"abcdefghij")
    await replica.database.reads.execute("DELETE FROM bus.delivery")
    await replica.emit(an_account(), *"abcdefghijklmnop")
    settings = msgspec.structs.replace(replica.settings, poll_seconds=600)
    debts = RelayBacklog(settings, replica.database)
    first = [row["pos"] for row in await debts.fetch_due(OWNED, (), ())][:sent]

    async def has_risen() -> bool:
        debts._watermark._full_scan_at = float("-inf")
        await debts.fetch_due(OWNED, first, ())
        return debts._watermark.position > 0

    await wait_until(has_risen)
    assert debts._watermark.skipped_keys == []
    await replica.database.reads.execute("DELETE FROM bus.delivery WHERE pos = ANY($1)", first)
    assert [row["seq"] for row in await debts.fetch_due(OWNED, (), ())] == list(range(sent + 1, 17))


@pytest.mark.parametrize(
    ("took", "still_above", "whole_again"), [(0.0, 0.9, 1.0), (0.2, 9.0, 10.2), (3.0, 140.0, 153.0)]
)
async def test_i10_a_look_at_everything_is_a_small_part_of_the_time_however_long_it_takes(
    replica: BusFixture,
    monkeypatch: pytest.MonkeyPatch,
    took: float,
    still_above: float,
    whole_again: float,
) -> None:
    now = 1000.0
    monkeypatch.setattr(backlog, "monotonic", lambda: now)
    looks: list[int] = []

    async def fetch(position: int, hidden: Collection[str]) -> list[Any]:
        nonlocal now
        looks.append(position)
        now += took
        return []

    reads = backlog.ScanWatermark(
        NAME, msgspec.structs.replace(replica.settings, poll_seconds=1), replica.database
    )
    await reads.fetch_above(OWNED, fetch)
    reads.position = 7
    now = 1000.0 + still_above
    await reads.fetch_above(OWNED, fetch)
    now = 1000.0 + whole_again
    await reads.fetch_above(OWNED, fetch)
    assert looks == [0, 7, 0]
