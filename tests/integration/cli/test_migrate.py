"""`govid migrate` on databases at both ends."""

import asyncio
import json
from collections.abc import Iterator

import asyncpg
import pytest
from click.testing import CliRunner

from govid.gateway.cli.commands import commands
from govid.gateway.migrations import upgrade
from govid.gateway.schema_version import head_revision
from tests.backends import postgres


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of a database without a table."""
    url = asyncio.run(postgres.clone(postgres_server, "template0"))
    yield url
    asyncio.run(postgres.drop(postgres_server, url))


def test_a_database_at_head_has_nothing_pending(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["migrate", "status", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "current": head_revision(),
        "head": head_revision(),
        "pending": [],
    }


def test_an_empty_database_is_reported_and_brought_to_head(
    runner: CliRunner, empty_database_url: str
) -> None:
    runner.env = {**runner.env, "GOVID_DATABASE_URL": empty_database_url}
    before = runner.invoke(commands, ["migrate", "status", "--json"])
    assert before.exit_code == 5
    assert json.loads(before.stdout)["current"] is None
    dry = runner.invoke(commands, ["migrate", "--dry-run", "--json"])
    assert (dry.exit_code, dry.stdout) == (0, before.stdout)
    up = runner.invoke(commands, ["migrate", "--json"])
    assert up.exit_code == 0, up.output
    assert json.loads(up.stdout) == {
        "current": head_revision(),
        "head": head_revision(),
        "pending": [],
    }
    again = runner.invoke(commands, ["migrate"])
    assert (again.exit_code, again.stderr) == (0, "Applied 0.\n")


def test_an_unknown_revision_is_a_sentence(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["migrate", "--to", "9999"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a revision that this release does not know" in result.stderr


def test_the_statements_can_be_read_instead(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["migrate", "--sql"])
    assert result.exit_code == 0, result.output
    assert "CREATE SCHEMA bus" in result.stdout


@pytest.mark.parametrize("days", ["30", "400"])
def test_migrate_stores_how_long_rows_are_kept(
    runner: CliRunner, database_url: str, days: str
) -> None:
    runner.env = {**runner.env, "GOVID_RETENTION_DAYS": days}
    assert runner.invoke(commands, ["migrate"]).exit_code == 0
    assert asyncio.run(_stored_days(database_url)) == int(days)


async def _stored_days(url: str) -> int:
    connection = await asyncpg.connect(url)
    found = await connection.fetchval("SELECT kept_for FROM bus.retention")
    await connection.close()
    return int(found.days)


def test_roles_are_listed_before_they_are_created(runner: CliRunner) -> None:
    options = ["migrate", "--database-roles", "--role-prefix", "never_created_", "--dry-run"]
    result = runner.invoke(commands, options)
    assert result.exit_code == 0, result.output
    assert "CREATE ROLE never_created_owner NOLOGIN;" in result.stdout
    assert "ALTER TABLE bus.event OWNER TO never_created_owner;" in result.stdout
    listed = json.loads(runner.invoke(commands, [*options, "--json"]).stdout)["role_statements"]
    assert "CREATE ROLE never_created_auditor NOLOGIN" in listed


def test_roles_need_the_whole_schema(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["migrate", "--database-roles", "--to", "0020"])
    assert result.exit_code == 2
    assert "--database-roles needs the whole schema: leave out --to." in result.stderr


def test_an_unreachable_database_is_a_sentence(runner: CliRunner) -> None:
    runner.env = {**runner.env, "GOVID_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    result = runner.invoke(commands, ["migrate"])
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("govid: no connection to PostgreSQL at ")


@pytest.fixture
def shared_database_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of an earlier release's database in which two accounts share a number."""
    url = asyncio.run(postgres.clone(postgres_server, "template0"))
    upgrade(url, "0018")
    asyncio.run(_share(url))
    yield url
    asyncio.run(postgres.drop(postgres_server, url))


async def _share(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("""
        INSERT INTO identity.account (id, email, email_canonical, identifier_type, identifier_value,
                                      password_hash, status, created_at, updated_at)
        SELECT gen_random_uuid(), letter, letter, 'NIN', 'AB465851' || letter, '', 'verified',
               now(), now()
        FROM unnest(ARRAY['A', 'B', 'D']) AS letter
    """)
    await connection.close()


def test_b1_migrate_says_how_many_accounts_it_parted_and_check_names_their_reviews(
    runner: CliRunner, shared_database_url: str
) -> None:
    runner.env = {**runner.env, "GOVID_DATABASE_URL": shared_database_url}
    up = runner.invoke(commands, ["migrate"])
    assert up.exit_code == 0, up.output
    assert up.stderr.splitlines()[-1] == (
        "2 accounts lost their number or address to another account and need a review: "
        "`govid check` names the reasons."
    )
    check = runner.invoke(commands, ["check", "--json"])
    assert (
        'reviews are open: identifier_shared 2; docs/runbook.md, "Reviews", says what to do'
        in json.loads(check.stdout)["warnings"]
    )


def test_b1_migrate_says_nothing_of_reviews_where_there_are_none(runner: CliRunner) -> None:
    assert runner.invoke(commands, ["migrate"]).stderr == "Applied 0.\n"
    warnings = json.loads(runner.invoke(commands, ["check", "--json"]).stdout)["warnings"]
    assert [one for one in warnings if "reviews" in one] == []
