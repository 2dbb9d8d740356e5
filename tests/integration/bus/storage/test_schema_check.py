"""The schema check notices what differs from the migrations; additions of operators are allowed."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from govid.bus import BusSettings, Database
from govid.bus.storage.retention import RetentionWorker
from govid.bus.storage.schema_check import (
    EXPECTED_SCHEMA,
    SchemaCheck,
    describe_schema,
    schema_differences,
)
from govid.gateway.schema_version import migrations_folder
from tests.integration.bus.time_travel import FixedClock

DRIFTS = {
    "ALTER TABLE bus.lease DROP CONSTRAINT lease_pkey": [
        "missing: constraint lease.lease_pkey PRIMARY KEY (subscriber, bucket)"
    ],
    "ALTER TABLE bus.parked DROP COLUMN crashes": [
        "missing: column parked.crashes integer not null default 0",
        "missing: constraint parked.parked_crashes_check CHECK ((crashes >= 0))",
    ],
    "ALTER TABLE bus.topic ALTER partitions TYPE bigint": [
        (
            "altered: column topic.partitions integer not null; "
            "found: column topic.partitions bigint not null"
        ),
    ],
    "ALTER TABLE bus.event ALTER headers DROP NOT NULL": [
        "altered: column event.headers jsonb not null; found: column event.headers jsonb",
    ],
    "ALTER TABLE bus.event DISABLE TRIGGER event_is_immutable": [
        (
            "missing: trigger event.event_is_immutable CREATE TRIGGER event_is_immutable"
            " BEFORE DELETE OR UPDATE ON bus.event"
            " FOR EACH ROW EXECUTE FUNCTION bus.refuse_change()"
        )
    ],
    "DROP INDEX bus.inbox_received_at": [
        (
            "missing: index inbox.inbox_received_at CREATE INDEX inbox_received_at ON bus.inbox"
            " USING btree (received_at)"
        )
    ],
    "DROP TABLE bus.receipt_default": ["missing: default receipt receipt_default"],
}
CONTRACT = 27
"""The migration that dropped `bus.dead.replay_count`."""


async def compatible_from(database: Database) -> int:
    stored: int = await database.reads.fetchval("SELECT compatible_from FROM public.govid_version")
    return stored


def downgrade(database_url: str, revision: str) -> None:
    """Undo every migration after *revision*; needs a thread without an event loop."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["database_url"] = database_url
    command.downgrade(config, revision)


async def test_the_migrations_make_what_is_expected(database: Database) -> None:
    # After a migration of schema `bus`: python -m tests.integration.bus.schema
    assert await describe_schema(database.reads) == list(EXPECTED_SCHEMA)


@pytest.mark.parametrize(("change", "found"), DRIFTS.items(), ids=DRIFTS)
async def test_a_change_by_hand_is_found(database: Database, change: str, found: list[str]) -> None:
    await database.reads.execute(change)
    assert schema_differences(await describe_schema(database.reads)) == found


@pytest.mark.parametrize(
    "addition",
    [
        "CREATE INDEX by_type ON bus.event (type)",
        "CREATE TABLE bus.event_copy AS TABLE bus.event",
        "ALTER TABLE bus.delivery SET (fillfactor = 70)",
        "ALTER TABLE bus.inbox ADD COLUMN note text",
        "ALTER TABLE bus.receipt ADD CONSTRAINT late CHECK (partition < 4)",
        "CREATE TRIGGER later AFTER INSERT ON bus.event EXECUTE FUNCTION bus.refuse_change()",
    ],
)
async def test_c10_what_is_added_is_no_fault(database: Database, addition: str) -> None:
    await database.reads.execute(addition)
    assert schema_differences(await describe_schema(database.reads)) == []


async def test_c10_the_dropped_column_is_demanded_by_older_releases_only(
    database: Database, database_url: str
) -> None:
    # Up to schema 0026 the fingerprint listed it, so these releases must not run without it.
    assert await compatible_from(database) >= CONTRACT
    await asyncio.to_thread(downgrade, database_url, f"{CONTRACT - 1:04d}")
    described = await describe_schema(database.reads)
    assert set(described) - set(EXPECTED_SCHEMA) == {
        "column dead.replay_count integer not null default 0"
    }
    # What that schema lacks is younger than it.
    missing = {line.split(" ", 2)[1]: line for line in schema_differences(described)}
    assert missing.keys() == {"column", "constraint", "function", "table"}
    assert missing["table"] == "missing: table retention"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("ALTER FUNCTION bus.drop_day SECURITY INVOKER", "missing"),
        ("ALTER FUNCTION bus.drop_day SET search_path = public", "altered"),
        ("DROP FUNCTION bus.drop_day", "missing"),
    ],
)
async def test_a_function_of_retention_that_was_changed_is_found(
    database: Database, change: str, found: str
) -> None:
    await database.reads.execute(change)
    [line] = schema_differences(await describe_schema(database.reads))
    assert line.startswith(f"{found}: function drop_day(child text, ended_before timestamp")


async def test_days_that_come_and_go_are_no_fault(
    database: Database, bus_settings: BusSettings
) -> None:
    await RetentionWorker(bus_settings, FixedClock(datetime.now(UTC))).run_once()
    assert schema_differences(await describe_schema(database.reads)) == []


async def test_a_database_without_the_bus_lacks_everything(database: Database) -> None:
    await database.reads.execute("DROP SCHEMA bus CASCADE")
    found = schema_differences(await describe_schema(database.reads))
    assert found == sorted(f"missing: {line}" for line in EXPECTED_SCHEMA)


async def test_a_finding_is_reported_once_and_believed_for_a_while(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await database.reads.execute("DROP INDEX bus.inbox_received_at")
    watch = SchemaCheck()
    assert not await watch.is_intact(database.reads)
    nobody: Any = None
    assert not await watch.is_intact(nobody)
    assert [record.message for record in caplog.records] == ["schema.drifted"]
