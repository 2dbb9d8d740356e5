"""The role of govid: what it may do too much is a warning, and events survive TRUNCATE."""

from datetime import UTC, datetime

import asyncpg
import pytest

from govid.bus import BusSettings, Database
from govid.bus.storage.retention import RetentionWorker
from govid.gateway.checks.roles import role_warnings
from govid.gateway.settings import load_from_environment
from tests.integration.bus.time_travel import FixedClock


async def test_c8_a_superuser_is_a_warning(database_url: str) -> None:
    [warning] = await role_warnings(
        load_from_environment({"GOVID_DATABASE_URL": database_url}, env_file=None)
    )
    assert "is a superuser: it may read and change everything" in warning


async def test_c8_without_a_database_nothing_is_said() -> None:
    assert await role_warnings(load_from_environment(env_file=None)) == []
    away = load_from_environment(
        {"GOVID_DATABASE_URL": "postgresql://x:y@127.0.0.1:1/x"}, env_file=None
    )
    assert await role_warnings(away) == []


@pytest.mark.parametrize("statement", ["TRUNCATE bus.event", "TRUNCATE bus.event CASCADE"])
async def test_c8_events_are_not_truncated(database: Database, statement: str) -> None:
    with pytest.raises(asyncpg.RestrictViolationError):
        await database.reads.execute(statement)


async def test_c8_a_day_of_events_is_not_truncated(
    database: Database, bus_settings: BusSettings
) -> None:
    await RetentionWorker(bus_settings, FixedClock(datetime.now(UTC))).run_once()
    day = await database.reads.fetchval(
        "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'bus.event'::regclass"
        " AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' LIMIT 1"
    )
    with pytest.raises(asyncpg.RestrictViolationError):
        await database.reads.execute(f"TRUNCATE {day}")
