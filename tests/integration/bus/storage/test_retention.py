"""Requirement 13: retention creates and drops daily partitions, and no table grows for ever."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.shared.ids import first_uuid7_at
from govid.bus.storage.partitions import QUERIES as RETENTION
from govid.bus.storage.partitions import PartitionManager, PartitionRange
from govid.bus.storage.retention import (
    ADVISORY_LOCK,
    BATCH_ROWS,
    DAYS_AHEAD,
    RULES,
    DailyPartitioned,
    RetentionWorker,
)
from tests.integration.bus.time_travel import (
    DAY,
    FixedClock,
    event_id_at,
    find_partition,
    noon_of,
    partition_names,
    partitions,
    store,
)

TODAY = datetime.now(UTC).date()
OLD = TODAY - 91 * DAY
"""The youngest day that is over for 90 days at noon."""


@pytest.fixture
def retention(bus_settings: BusSettings) -> RetentionWorker:
    """Return the worker, today at noon."""
    return RetentionWorker(bus_settings, FixedClock(noon_of(TODAY)))


@pytest.fixture
def then(bus_settings: BusSettings) -> RetentionWorker:
    """Return the worker of long ago, which made partitions for days that are old now."""
    return RetentionWorker(bus_settings, FixedClock(noon_of(OLD)))


@pytest.fixture
async def other(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return another connection."""
    connection = await asyncpg.connect(bus_settings.database_url)
    yield connection
    await connection.close()


async def test_r13_every_table_of_the_bus_has_a_rule_or_a_reason(database: Database) -> None:
    rows = await database.reads.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'bus'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    # A table that is missing here needs a rule in govid/bus/retention.py: how do its rows leave?
    assert {row["relname"] for row in rows} == RULES.keys()


async def test_r13_every_partitioned_table_is_dropped_by_the_day(database: Database) -> None:
    rows = await database.reads.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'bus'::regnamespace AND relkind = 'p'"
    )
    daily = {table for table, rule in RULES.items() if isinstance(rule, DailyPartitioned)}
    assert {row["relname"] for row in rows} == daily


@pytest.mark.parametrize("table", ["event", "receipt"])
async def test_today_and_a_fortnight_get_their_places(
    retention: RetentionWorker, database: Database, table: str
) -> None:
    assert await retention.run_once()
    assert await partitions(database, table) == partition_names(TODAY, DAYS_AHEAD + 1)


async def test_a_second_run_changes_nothing(retention: RetentionWorker, database: Database) -> None:
    await retention.run_once()
    before = await database.reads.fetchval("SELECT max(oid::bigint) FROM pg_class")
    assert await retention.run_once()
    assert await database.reads.fetchval("SELECT max(oid::bigint) FROM pg_class") == before


async def test_rows_go_to_their_day(retention: RetentionWorker, database: Database) -> None:
    await retention.run_once()
    event_id = event_id_at(TODAY)
    await store(database, event_id)
    assert await find_partition(database, "event", "id", event_id) == f"{TODAY:%Y%m%d}"
    assert await find_partition(database, "receipt", "event_id", event_id) == f"{TODAY:%Y%m%d}"


async def test_i5_events_of_a_new_partition_are_immutable_too(
    retention: RetentionWorker, database: Database
) -> None:
    await retention.run_once()
    await store(database, event_id_at(TODAY))
    with pytest.raises(asyncpg.RestrictViolationError):
        await database.reads.execute(f"DELETE FROM bus.event_{TODAY:%Y%m%d}")  # noqa: S608


async def test_a_partition_is_vacuumed_as_its_use_asks_for(
    retention: RetentionWorker, database: Database
) -> None:
    await retention.run_once()
    options = await database.reads.fetchval(
        "SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass",
        f"bus.event_{TODAY:%Y%m%d}",
    )
    assert options == [
        "autovacuum_vacuum_insert_scale_factor=0.05",
        "autovacuum_analyze_scale_factor=0.02",
    ]


async def test_a_day_that_has_begun_in_the_default_partition_is_left_alone(
    retention: RetentionWorker, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await store(database, event_id_at(TODAY))
    with caplog.at_level(logging.INFO, "govid.bus.storage.retention"):
        await retention.run_once()
        await retention.run_once()
    assert await partitions(database, "event") == partition_names(TODAY + DAY, DAYS_AHEAD)
    assert [(r.message, r.table) for r in caplog.records] == [  # type: ignore[attr-defined]
        ("retention.day_in_default", "event"),
        ("retention.day_in_default", "receipt"),
    ]


async def test_a_day_to_come_that_has_rows_already_is_left_alone(
    retention: RetentionWorker, database: Database
) -> None:
    ahead = TODAY + 3 * DAY
    await store(database, event_id_at(ahead))
    await retention.run_once()
    assert f"{ahead:%Y%m%d}" not in await partitions(database, "event")
    assert len(await partitions(database, "event")) == DAYS_AHEAD


async def test_nothing_is_left_behind_that_would_refuse_a_row(
    retention: RetentionWorker, database: Database
) -> None:
    await store(database, event_id_at(TODAY))
    await database.reads.execute(
        "ALTER TABLE bus.event_default ADD CONSTRAINT event_outside CHECK (id IS NULL) NOT VALID"
    )
    await retention.run_once()
    assert not await database.reads.fetchval(
        "SELECT count(*) FROM pg_constraint WHERE conname LIKE '%outside'"
    )


async def test_r13_old_days_are_dropped_and_younger_ones_stay(
    then: RetentionWorker, retention: RetentionWorker, database: Database
) -> None:
    await then.run_once()
    await store(database, event_id_at(OLD))
    await store(database, young := event_id_at(OLD + DAY))
    await retention.run_once()
    kept = partition_names(OLD + DAY, DAYS_AHEAD)[:-1] + partition_names(TODAY, DAYS_AHEAD + 1)
    assert await partitions(database, "event") == kept
    assert await partitions(database, "receipt") == kept
    assert [r["id"] for r in await database.reads.fetch("SELECT id FROM bus.event")] == [young]


async def test_r13_a_day_from_which_something_is_pending_is_kept(
    then: RetentionWorker, retention: RetentionWorker, database: Database
) -> None:
    await then.run_once()
    await store(database, event_id_at(OLD), pending_for="tests.slow")
    assert await retention.run_once()
    assert f"{OLD:%Y%m%d}" in await partitions(database, "event")
    assert f"{OLD:%Y%m%d}" in await partitions(database, "receipt")
    await database.reads.execute("DELETE FROM bus.delivery")
    await retention.run_once()
    assert f"{OLD:%Y%m%d}" not in await partitions(database, "event")
    assert f"{OLD:%Y%m%d}" not in await partitions(database, "receipt")


async def test_a_day_of_which_an_event_is_dead_is_kept(
    then: RetentionWorker, retention: RetentionWorker, database: Database
) -> None:
    await then.run_once()
    await store(database, event_id := event_id_at(OLD))
    await database.reads.execute(
        "INSERT INTO bus.dead VALUES"
        " ('tests.one', 1, 0, $1, NULL, 'error', '', '', 8, now(), now())",
        event_id,
    )
    await retention.run_once()
    assert f"{OLD:%Y%m%d}" in await partitions(database, "event")


async def test_r14_nothing_leaves_before_kafka_has_forgotten_it(
    bus_settings: BusSettings, then: RetentionWorker, database: Database
) -> None:
    await then.run_once()
    settings = BusSettings(
        **{
            **{name: getattr(bus_settings, name) for name in bus_settings.__struct_fields__},
            "retention_days": 30,
            "kafka_retention_days": 100,
        }
    )
    await RetentionWorker(settings, FixedClock(noon_of(TODAY))).run_once()
    assert f"{OLD:%Y%m%d}" in await partitions(database, "event")


async def test_i5_a_shorter_setting_than_the_stored_retention_drops_nothing_and_warns_of_nothing(
    bus_settings: BusSettings,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    young = TODAY - 10 * DAY
    await RetentionWorker(bus_settings, FixedClock(noon_of(young))).run_once()
    settings = msgspec.structs.replace(bus_settings, retention_days=1, kafka_retention_days=1)
    worker = RetentionWorker(settings, FixedClock(noon_of(TODAY)))
    assert await worker.run_once()
    assert f"{young:%Y%m%d}" in await partitions(database, "event")
    assert not [one for one in caplog.records if one.message == "retention.still_needed"]
    await database.reads.execute("UPDATE bus.retention SET kept_for = '1 day'")
    assert await worker.run_once()
    assert f"{young:%Y%m%d}" not in await partitions(database, "event")


async def test_a_clock_that_jumps_ahead_drops_nothing(
    bus_settings: BusSettings, retention: RetentionWorker, database: Database
) -> None:
    await retention.run_once()
    await store(database, event_id_at(TODAY))
    await RetentionWorker(bus_settings, FixedClock(noon_of(TODAY + 400 * DAY))).run_once()
    assert f"{TODAY:%Y%m%d}" in await partitions(database, "event")


async def test_what_stood_in_the_default_partition_leaves_when_all_of_it_is_old(
    retention: RetentionWorker, database: Database
) -> None:
    await store(database, event_id_at(OLD - DAY))
    await retention.run_once()
    assert await database.reads.fetchval("SELECT count(*) FROM bus.event") == 0
    assert await database.reads.fetchval("SELECT count(*) FROM bus.receipt") == 0


async def test_the_default_partition_stays_while_one_row_is_young(
    retention: RetentionWorker, database: Database
) -> None:
    await store(database, event_id_at(OLD - DAY))
    await store(database, event_id_at(TODAY))
    await retention.run_once()
    assert await database.reads.fetchval("SELECT count(*) FROM bus.event") == 2


async def test_r13_the_inbox_forgets_in_small_batches(
    retention: RetentionWorker, database: Database
) -> None:
    await database.reads.execute(
        "INSERT INTO bus.inbox (foreign_id_hash, source, foreign_id, event_id, received_at)"
        " SELECT int4send(n), 'tests', n, gen_random_uuid(),"
        "        now() - CASE WHEN n = 0 THEN interval '89 days' ELSE interval '92 days' END"
        " FROM generate_series(0, $1) n",
        BATCH_ROWS + 1,
    )
    assert await retention.run_once()
    assert await database.reads.fetchval("SELECT array_agg(foreign_id) FROM bus.inbox") == ["0"]


async def test_replicas_that_never_came_back_are_forgotten(
    retention: RetentionWorker, database: Database
) -> None:
    await database.reads.execute(
        "INSERT INTO bus.replica VALUES (gen_random_uuid(), 1, now() - interval '92 days')"
    )
    await retention.run_once()
    assert await database.reads.fetchval("SELECT count(*) FROM bus.replica") == 0


async def test_one_replica_at_a_time_frees_capacity(
    retention: RetentionWorker, database: Database, other: Any
) -> None:
    await other.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
    assert await retention.run_once()
    assert await partitions(database, "event") == ["default"]


async def test_who_is_writing_is_not_made_to_wait(
    retention: RetentionWorker, database: Database, other: Any
) -> None:
    async with other.transaction():
        await other.execute("SELECT count(*) FROM bus.event_default")
        working = asyncio.create_task(retention.run_once())
        # Kept from the default partition, the worker gives up, and traffic goes on around it.
        async with asyncio.timeout(3):
            await store(database, event_id := event_id_at(TODAY + DAY))
            assert not await working
    assert await partitions(database, "event") == ["default"]
    assert await find_partition(database, "event", "id", event_id) == "default"
    assert await retention.run_once()
    assert await partitions(database, "event") == partition_names(TODAY + 2 * DAY, DAYS_AHEAD - 1)


async def test_a_row_that_is_on_its_way_when_its_day_is_added_is_not_refused(
    retention: RetentionWorker, database: Database, other: Any
) -> None:
    inserting = other.transaction()
    await inserting.start()
    await other.execute("LOCK TABLE bus.event IN ROW EXCLUSIVE MODE")
    assert not await retention.run_once()
    await inserting.rollback()
    assert await retention.run_once()
    await store(database, event_id := event_id_at(TODAY))
    assert await find_partition(database, "event", "id", event_id) == f"{TODAY:%Y%m%d}"


async def test_r4_a_replica_that_freezes_while_it_drops_a_day_keeps_no_lock(
    retention: RetentionWorker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = asyncio.Event()

    @asynccontextmanager
    async def freeze(_: PartitionManager) -> AsyncIterator[None]:
        yield
        frozen.set()
        await asyncio.sleep(30)

    await retention.run_once()
    # After the statement that locks the table the process stops.
    monkeypatch.setattr(PartitionManager, "_exclusive_lock_limit", freeze)
    await attach_old_day(database)
    working = asyncio.create_task(retention.run_once())
    async with asyncio.timeout(10):
        await frozen.wait()
        await store(database, event_id_at(TODAY))
    working.cancel()
    await asyncio.wait([working])
    assert "old" not in await partitions(database, "event")


async def test_r4_who_waits_for_a_lock_of_retention_waits_no_longer_than_its_limit(
    database: Database, other: Any
) -> None:
    await attach_old_day(database)
    await other.execute("SET statement_timeout = 300000")
    manager = PartitionManager(other, "event", 300_000)
    async with manager._exclusive_lock_limit():
        assert await other.fetchval("SHOW statement_timeout") == "1s"
    assert await other.fetchval("SHOW statement_timeout") == "5min"


async def attach_old_day(database: Database) -> None:
    """Attach a day that is over for long."""
    span = PartitionRange.for_day(OLD)
    await database.reads.execute(
        "CREATE TABLE bus.event_old (LIKE bus.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
        f"ALTER TABLE bus.event ATTACH PARTITION bus.event_old"
        f" FOR VALUES FROM ('{span.lower}') TO ('{span.upper}')"
    )


RECENT_DAYS = [TODAY, TODAY + DAY, TODAY - DAY, OLD + DAY]
"""The last one has ended less than 90 days ago."""


@pytest.mark.parametrize("table", ["event", "receipt"])
@pytest.mark.parametrize("day", RECENT_DAYS)
async def test_i5_the_database_drops_no_day_that_is_younger_than_its_retention(
    bus_settings: BusSettings, database: Database, table: str, day: date
) -> None:
    await RetentionWorker(bus_settings, FixedClock(noon_of(day))).run_once()
    far = datetime.now(UTC) + 1000 * DAY
    name = f"{table}_{day:%Y%m%d}"
    assert not await database.reads.fetchval(RETENTION["drop_day"], name, far)
    assert f"{day:%Y%m%d}" in await partitions(database, table)


@pytest.mark.parametrize("day", [TODAY, OLD + 2 * DAY])
async def test_i5_the_database_keeps_young_rows_of_the_default_partition(
    database: Database, day: date
) -> None:
    await store(database, event_id_at(day))
    far = datetime.now(UTC) + 1000 * DAY
    assert not await database.reads.fetchval(RETENTION["empty_default"], "event", far)
    assert await database.reads.fetchval("SELECT count(*) FROM bus.event") == 1


async def test_i5_the_database_keeps_what_is_pending_for_every_caller(
    then: RetentionWorker, database: Database
) -> None:
    await then.run_once()
    await store(database, event_id_at(OLD), pending_for="tests.slow")
    now = datetime.now(UTC)
    assert not await database.reads.fetchval(RETENTION["drop_day"], f"event_{OLD:%Y%m%d}", now)
    assert not await database.reads.fetchval(RETENTION["drop_day"], f"receipt_{OLD:%Y%m%d}", now)


async def test_i5_the_database_keeps_what_is_pending_in_the_default_partition(
    database: Database,
) -> None:
    await store(database, event_id_at(OLD), pending_for="tests.slow")
    now = datetime.now(UTC)
    assert not await database.reads.fetchval(RETENTION["empty_default"], "event", now)


@pytest.mark.parametrize("table", ["inbox", "replica"])
async def test_the_database_keeps_young_rows_that_have_an_age_limit(
    database: Database, table: str
) -> None:
    await database.reads.execute(
        "INSERT INTO bus.inbox (foreign_id_hash, source, foreign_id, event_id)"
        " VALUES ('x', 'tests', 'x', gen_random_uuid());"
        "INSERT INTO bus.replica VALUES (gen_random_uuid(), 1, now())"
    )
    far = datetime.now(UTC) + 1000 * DAY
    assert await database.reads.fetchval(RETENTION["delete_aged"], table, far, 10) == 0


@pytest.mark.parametrize("name", ["event", "event_default", "delivery", "account", "", "pg_class"])
async def test_the_database_drops_nothing_but_partitions(database: Database, name: str) -> None:
    now = datetime.now(UTC)
    assert await database.reads.fetchval(RETENTION["drop_day"], name, now) is False


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("attach_day", ("delivery", TODAY, False)),
        ("attach_day", ("event", TODAY + 33 * DAY, False)),
        ("attach_day", ("event", TODAY - 368 * DAY, False)),
        ("exclude_day", ("event", TODAY)),
        ("exclude_day", ("delivery", TODAY + DAY)),
        ("validate_exclusion", ("delivery",)),
        ("end_exclusion", ("delivery",)),
        ("is_range_needed", ("delivery", UUID(int=0), UUID(int=1))),
        ("empty_default", ("delivery", datetime.now(UTC))),
        ("delete_aged", ("event", datetime.now(UTC), 1)),
    ],
)
async def test_the_database_refuses_what_is_not_retention(
    database: Database, statement: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await database.reads.fetchval(RETENTION[statement], *arguments)


@pytest.mark.parametrize("moment", [datetime(1960, 1, 1, tzinfo=UTC), datetime.now(UTC)])
async def test_the_database_makes_the_same_first_id_as_the_code(
    database: Database, moment: datetime
) -> None:
    found = await database.reads.fetchval("SELECT bus.first_id_at($1)", moment)
    assert found == first_uuid7_at(moment)
