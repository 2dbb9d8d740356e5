"""R22: retention of the audit log removes personal values and old entries, and nothing else."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from govid.bus import BusSettings, Database
from govid.bus.audit.retention import UNLIMITED, AuditRetention
from govid.bus.audit.rules import retention_days
from govid.bus.settings import AuditSettings
from tests.integration.bus.audit.sealed_log import SealedLog, execute_as_superuser

COUNTS = """
    SELECT (SELECT count(*) FROM audit.entry) AS entries,
           (SELECT count(*) FROM audit.restricted WHERE kind = 'request') AS requests,
           (SELECT count(*) FROM audit.restricted WHERE kind = 'staff') AS staff,
           (SELECT count(*) FROM audit.leaf) AS leaves
"""


class FutureClock:
    """A clock that runs ten years ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=3650)


class PresentClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
async def log(bus_settings: BusSettings, database: Database) -> SealedLog:
    """Return a log of four sealed entries."""
    log = SealedLog(bus_settings, database)
    await log.write(4)
    await log.build_sealer().run_once()
    return log


async def age(log: SealedLog, days: int, first: int) -> None:
    """Make the entries from position *first* older, with their personal values and checkpoint."""
    past = f"now() - interval '{days} days'"
    await execute_as_superuser(
        log.database,
        f"UPDATE audit.entry SET at = {past} WHERE position >= {first}",  # noqa: S608 - numbers
        f"UPDATE audit.restricted SET at = {past} WHERE entry_id IN"  # noqa: S608 - numbers
        f" (SELECT id FROM audit.entry WHERE position >= {first})",
        f"UPDATE audit.checkpoint SET at = {past}, floor = size",  # noqa: S608 - numbers
    )


async def counts(log: SealedLog) -> tuple[int, ...]:
    return tuple(await log.database.reads.fetchrow(COUNTS))


def retention(log: SealedLog, settings: AuditSettings | None = None) -> AuditRetention:
    return AuditRetention(log.database, settings or AuditSettings(), PresentClock())


async def test_r22_what_is_young_stays(log: SealedLog) -> None:
    before = await counts(log)
    await retention(log).run_once()
    assert await counts(log) == before == (4, 4, 4, 4)


async def test_r22_addresses_are_removed_after_their_days_and_the_staff_stays(
    log: SealedLog,
) -> None:
    await age(log, 91, first=3)
    await retention(log).run_once()
    assert await counts(log) == (4, 2, 4, 4)


async def test_r22_entries_are_removed_after_their_years_and_their_leaves_stay(
    log: SealedLog,
) -> None:
    await age(log, 2600, first=2)
    await retention(log).run_once()
    assert await counts(log) == (1, 1, 1, 4)


async def test_r22_an_entry_that_is_not_sealed_is_never_removed(log: SealedLog) -> None:
    await log.write(2)
    await age(log, 2600, first=5)
    await retention(log).run_once()
    assert (await counts(log))[0] == 6


async def test_r22_shorter_settings_than_those_of_the_database_remove_nothing(
    log: SealedLog,
) -> None:
    await age(log, 50, first=1)
    await retention(log, AuditSettings(login_days=1, request_days=1, entry_years=1)).run_once()
    assert await counts(log) == (4, 4, 4, 4)


@pytest.mark.parametrize(
    "call",
    [
        "audit.purge_entries(now(), 10)",
        "audit.purge_restricted('request', now(), 10)",
        "audit.purge_restricted('entry', now(), 10)",
        "audit.purge_restricted('unknown', now(), 10)",
    ],
)
async def test_r22_nothing_is_removed_without_a_stored_retention(log: SealedLog, call: str) -> None:
    await age(log, 2600, first=1)
    await execute_as_superuser(log.database, "DELETE FROM audit.retention")
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await log.database.reads.execute(f"SELECT {call}")
    assert await counts(log) == (4, 4, 4, 4)


async def test_r22_a_clock_that_is_ahead_removes_nothing(log: SealedLog) -> None:
    await AuditRetention(log.database, AuditSettings(), FutureClock()).run_once()
    assert await counts(log) == (4, 4, 4, 4)


@pytest.mark.parametrize("table", ["entry", "restricted", "leaf", "checkpoint"])
@pytest.mark.parametrize("statement", ["DELETE FROM audit.{}", "TRUNCATE audit.{}"])
async def test_r22_nothing_is_removed_by_hand(log: SealedLog, table: str, statement: str) -> None:
    with pytest.raises(asyncpg.RestrictViolationError):
        await log.database.reads.execute(statement.format(table))


@pytest.mark.parametrize("change", ["entry SET at", "restricted SET at", "checkpoint SET at"])
async def test_r22_nothing_is_changed_by_hand(log: SealedLog, change: str) -> None:
    with pytest.raises(asyncpg.RestrictViolationError):
        await log.database.reads.execute(f"UPDATE audit.{change} = now()")


async def test_r22_every_table_and_every_kind_has_a_rule(database: Database) -> None:
    tables = await database.reads.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace AND relkind = 'r'"
    )
    kinds = await database.reads.fetch("SELECT kind FROM audit.retention")
    assert {row["relname"] for row in tables} == UNLIMITED.keys() | {"entry", "restricted"}
    assert {row["kind"] for row in kinds} == retention_days(AuditSettings()).keys()
