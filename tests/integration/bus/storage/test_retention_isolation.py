"""I5: retention removes nothing in a transaction that cannot see what others have committed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal

import asyncpg
import pytest

from govid.bus import BusSettings, Database
from govid.bus.storage.partitions import QUERIES as RETENTION
from govid.bus.storage.retention import RetentionWorker
from tests.integration.bus.time_travel import (
    DAY,
    FixedClock,
    event_id_at,
    noon_of,
    partitions,
    store,
)

TODAY = datetime.now(UTC).date()
OLD = TODAY - 91 * DAY
IsolationLevel = Literal["repeatable_read", "serializable"]
LEVELS: tuple[IsolationLevel, ...] = ("repeatable_read", "serializable")
COUNT = "SELECT count(*) FROM bus.event"


@pytest.fixture
async def other(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return the connection of the caller that keeps an older snapshot."""
    connection = await asyncpg.connect(bus_settings.database_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("level", LEVELS)
async def test_i5_an_older_snapshot_empties_no_default_partition(
    database: Database, other: Any, level: IsolationLevel
) -> None:
    await store(database, event_id_at(OLD))
    transaction = other.transaction(isolation=level)
    await transaction.start()
    assert await other.fetchval(COUNT) == 1
    await store(database, event_id_at(TODAY))
    with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
        await other.fetchval(RETENTION["empty_default"], "event", datetime.now(UTC))
    await transaction.rollback()
    assert await database.reads.fetchval(COUNT) == 2


@pytest.mark.parametrize("level", LEVELS)
async def test_i5_an_older_snapshot_drops_no_day(
    database: Database, bus_settings: BusSettings, other: Any, level: IsolationLevel
) -> None:
    await RetentionWorker(bus_settings, FixedClock(noon_of(OLD))).run_once()
    transaction = other.transaction(isolation=level)
    await transaction.start()
    assert await other.fetchval(COUNT) == 0
    await store(database, event_id_at(OLD), pending_for="tests.slow")
    with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
        await other.fetchval(RETENTION["drop_day"], f"event_{OLD:%Y%m%d}", datetime.now(UTC))
    await transaction.rollback()
    assert f"{OLD:%Y%m%d}" in await partitions(database, "event")
    assert await database.reads.fetchval(COUNT) == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("attach_day", ("event", TODAY, True)),
        ("exclude_day", ("event", TODAY + DAY)),
        ("validate_exclusion", ("event",)),
        ("end_exclusion", ("event",)),
        ("drop_day", ("event_default", datetime.now(UTC))),
        ("empty_default", ("receipt", datetime.now(UTC))),
        ("delete_aged", ("inbox", datetime.now(UTC), 1)),
    ],
)
async def test_i5_each_function_that_changes_something_demands_read_committed(
    other: Any, name: str, arguments: tuple[Any, ...]
) -> None:
    transaction = other.transaction(isolation="repeatable_read")
    await transaction.start()
    with pytest.raises(asyncpg.InvalidTransactionStateError):
        await other.fetchval(RETENTION[name], *arguments)
    await transaction.rollback()


async def test_i5_functions_of_the_owner_read_nothing_outside_the_bus(database: Database) -> None:
    rows = await database.reads.fetch(
        "SELECT proname AS name, prosrc AS text, proconfig[1] AS path FROM pg_proc"
        " WHERE pronamespace = 'bus'::regnamespace AND prosecdef"
    )
    assert {"drop_day", "empty_default", "removable_until"} <= {row["name"] for row in rows}
    assert {row["path"] for row in rows} == {"search_path=pg_catalog, pg_temp"}
    assert [
        row["name"]
        for row in rows
        for schema in ("public", "identity", "nhs", "hmrc")
        if f"{schema}." in row["text"]
    ] == []
