"""What the bus counts is what happened, and what it tells of the database is what is there."""

import asyncio
from typing import Any

import asyncpg
import pytest

from govid.bus import BusSettings, Database, Delivery, Outage
from govid.bus.gauges import DatabaseSample, DatabaseSampler
from tests.backends import postgres
from tests.integration.bus.harness import (
    CONTEXT,
    NAME,
    BusFixture,
    LedgerHandler,
    a_request,
    an_account,
    create_ledger,
    wait_until,
)

TYPE = "identity.verification.requested"


async def test_events_and_deliveries_are_counted(replica: BusFixture) -> None:
    async with replica.run():
        await replica.emit(an_account(), "a", "b")
        await wait_until(lambda: handled(replica, 2))
    assert replica.metric_value("events_emitted_total", type=TYPE) == 2
    assert replica.metric_value("deliveries_total", subscriber=NAME, outcome="done") == 2
    assert replica.metric_value("delivery_seconds_count", subscriber=NAME) == 2
    assert 0 < (replica.metric_value("delivery_seconds_sum", subscriber=NAME) or 0) < 60


async def handled(replica: BusFixture, count: int) -> bool:
    return replica.metric_value("deliveries_total", subscriber=NAME, outcome="done") == count


async def test_what_rolls_back_is_not_counted(replica: BusFixture) -> None:
    with pytest.raises(ZeroDivisionError):
        async with replica.uow.begin(CONTEXT) as tx:
            tx.emit(a_request(an_account(), "a"))
            raise ZeroDivisionError
    assert replica.metric_value("events_emitted_total", type=TYPE) is None


async def test_a_repeated_delivery_is_distinguished(replica: BusFixture) -> None:
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: handled(replica, 1))
        await replica.database.reads.execute(
            "INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)"
            " SELECT $1, pos, 0, id, key FROM bus.event",
            NAME,
        )
        replica.wake.notify_all()
        await wait_until(lambda: counted(replica, "repeated"))
    assert replica.metric_value("delivery_seconds_count", subscriber=NAME) == 1


async def counted(replica: BusFixture, outcome: str) -> bool:
    return replica.metric_value("deliveries_total", subscriber=NAME, outcome=outcome) == 1


@pytest.mark.parametrize(("error", "outcome"), [(Outage("nhs"), "outage"), (KeyError(), "error")])
async def test_failures_are_counted_by_their_reason(
    bus_settings: BusSettings, database: Database, error: Exception, outcome: str
) -> None:
    await create_ledger(bus_settings.database_url)

    async def fail(_delivery: Delivery[Any]) -> None:
        raise error

    replica = BusFixture(bus_settings, database, LedgerHandler(fail))
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: counted(replica, outcome))


async def test_r4_a_lost_lease_is_counted(bus_settings: BusSettings, database: Database) -> None:
    await create_ledger(bus_settings.database_url)
    frozen, thaw = asyncio.Event(), asyncio.Event()

    async def freeze(_delivery: Delivery[Any]) -> None:
        frozen.set()
        await thaw.wait()

    replica = BusFixture(bus_settings, database, LedgerHandler(freeze))
    async with replica.run():
        await replica.emit(an_account(), "a")
        async with asyncio.timeout(10):
            await frozen.wait()
        assert replica.leases.bucket_counts == {NAME: 64}
        await database.reads.execute("UPDATE bus.lease SET owner = NULL, epoch = epoch + 1")
        thaw.set()
        await wait_until(lambda: lost(replica))


async def lost(replica: BusFixture) -> bool:
    return replica.metric_value("leases_lost_total") == 1


async def sample(database: Database) -> DatabaseSample:
    sampler = DatabaseSampler(database)
    await sampler.refresh()
    return sampler.last


async def test_a_sample_tells_what_is_pending(replica: BusFixture, database: Database) -> None:
    await replica.emit(an_account(), "a", "b")
    await database.reads.execute(
        "INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,"
        " error_class) SELECT subscriber, key, event_id, 'infinity', 8, 'error', '', ''"
        " FROM bus.delivery WHERE subscriber = $1 LIMIT 1",
        NAME,
    )
    await database.reads.execute(
        "INSERT INTO bus.dead VALUES"
        " ('kafka.relay', 1, 0, gen_random_uuid(), NULL, 'error', '', '', 8, now(), now())"
    )
    outbox = (await sample(database)).outbox
    assert outbox.keys() == {NAME, "kafka.relay"}
    assert (outbox[NAME].pending, outbox[NAME].parked_keys, outbox[NAME].dead) == (2, 1, 0)
    assert 0 < outbox[NAME].oldest_seconds < 60
    assert (outbox["kafka.relay"].pending, outbox["kafka.relay"].dead) == (2, 1)


async def test_a_subscriber_to_whom_nothing_is_pending_is_reported_too(
    replica: BusFixture, database: Database
) -> None:
    async with replica.run():
        await wait_until(lambda: holding(replica))
    outbox = (await sample(database)).outbox
    assert (outbox[NAME].pending, outbox[NAME].oldest_seconds) == (0, 0)


async def holding(replica: BusFixture) -> bool:
    return replica.leases.bucket_counts[NAME] == 64


async def test_partitions_count_for_their_table(database: Database) -> None:
    assert (await sample(database)).dead_tuples.keys() == {
        "bus.event", "bus.delivery", "bus.receipt", "bus.inbox", "bus.replica", "bus.lease",
        "bus.parked", "bus.dead", "bus.topic", "bus.stream",
        "bus.accepted_end", "bus.inbound_fault", "bus.inbox_gap", "bus.installation",
        "bus.retention",
    }  # fmt: skip


async def test_a_long_transaction_is_seen(database: Database, bus_settings: BusSettings) -> None:
    other = await asyncpg.connect(bus_settings.database_url)
    await other.execute("BEGIN")
    await other.execute("SELECT pg_sleep(0.2)")
    age = (await sample(database)).oldest_transaction_seconds
    await other.close()
    assert age is not None
    assert 0.2 <= age < 60


async def test_a_sample_is_valid_for_a_while(replica: BusFixture, database: Database) -> None:
    sampler = DatabaseSampler(database)
    await sampler.refresh()
    await replica.emit(an_account(), "a")
    await sampler.refresh()
    assert sampler.last.outbox == {}


async def test_a_database_that_is_away_has_nothing_to_tell(
    database: Database, postgres_server: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.bus.gauges.CACHE_SECONDS", 0)
    sampler = DatabaseSampler(database)
    await sampler.refresh()
    assert sampler.last.dead_tuples
    await postgres.drop(postgres_server, database_url)
    await sampler.refresh()
    assert sampler.last == DatabaseSample()
