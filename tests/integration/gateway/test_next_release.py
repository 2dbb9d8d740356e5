"""A database on which the next release has migrated: this one goes on, or says why it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from govid.bus import Database, SystemClock
from govid.gateway.checks.production import backend_problems
from govid.gateway.cli.commands import commands
from govid.gateway.endpoints.health import HealthProbe
from govid.gateway.schema_version import head_revision
from govid.gateway.settings import load_from_environment
from tests.integration.cli.conftest import in_thread
from tests.integration.gateway.next_release import (
    ADDITIONS,
    NUMBER,
    REVISION,
    migrate_in_thread,
)
from tests.unit.cli.golden import PLAIN

COLUMN = ADDITIONS["a column"]
TOO_NEW = (
    f"the database is newer than this release (schema {REVISION}, needs release {REVISION}): "
    "use that release or a later one"
)


@pytest.fixture
def govid(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs a command against the test's database."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env={**PLAIN, "GOVID_DATABASE_URL": database_url})
    run: Callable[..., Result] = lambda *arguments: runner.invoke(commands, arguments)  # noqa: E731
    return run


async def state_of(database: Database) -> str:
    health = HealthProbe(database, dict, SystemClock(), departments={})
    return (await health.check()).dependencies["database"]


@pytest.mark.parametrize("statement", ADDITIONS.values(), ids=ADDITIONS)
async def test_c10_what_the_next_release_adds_leaves_this_one_ready(
    database: Database, database_url: str, tmp_path: Path, statement: str
) -> None:
    await migrate_in_thread(database_url, tmp_path, statement, int(head_revision()))
    assert await state_of(database) == "ok"
    faults = await backend_problems(
        load_from_environment({"GOVID_DATABASE_URL": database_url}, env_file=None), ()
    )
    assert [fault for fault in faults if "schema" in fault or "migration" in fault] == []


async def test_c10_a_schema_that_needs_a_later_release_is_named(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await migrate_in_thread(database_url, tmp_path, COLUMN, NUMBER)
    assert await state_of(database) == "newer than this release"
    assert TOO_NEW in await backend_problems(
        load_from_environment({"GOVID_DATABASE_URL": database_url}, env_file=None), ()
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("migrate",), 0),
        (("migrate", "status"), 0),
        (("outbox", "verify", "--without-kafka"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
async def test_c10_a_command_runs_on_a_newer_schema_that_fits(
    govid: Any, database_url: str, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    await migrate_in_thread(database_url, tmp_path, COLUMN, int(head_revision()))
    result = await in_thread(govid, *arguments)
    assert result.exit_code == code, result.output


@pytest.mark.parametrize(
    "arguments",
    [("migrate",), ("migrate", "status"), ("outbox", "verify", "--without-kafka")],
    ids=" ".join,
)
async def test_c10_a_command_refuses_a_newer_schema_that_does_not_fit(
    govid: Any, database_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    await migrate_in_thread(database_url, tmp_path, COLUMN, NUMBER)
    result = await in_thread(govid, *arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"govid: {TOO_NEW}; nothing was changed.\n"


async def test_c10_a_newer_schema_that_says_nothing_does_not_fit(database: Database) -> None:
    await database.reads.execute(
        "UPDATE public.govid_version SET version_num = $1, compatible_from = NULL", REVISION
    )
    assert await state_of(database) == "newer than this release"


async def test_c10_an_older_schema_is_not_ready(database: Database) -> None:
    await database.reads.execute("UPDATE public.govid_version SET version_num = '0005'")
    assert await state_of(database) == "not migrated"


async def test_c10_the_version_is_read_where_the_column_is_missing(database: Database) -> None:
    await database.reads.execute("ALTER TABLE public.govid_version DROP COLUMN compatible_from")
    assert await state_of(database) == "ok"


async def test_c10_the_last_migration_has_stored_its_number(database: Database) -> None:
    row = await database.reads.fetchrow("SELECT * FROM public.govid_version")
    assert row["version_num"] == head_revision()
    assert 20 <= row["compatible_from"] <= int(head_revision())
