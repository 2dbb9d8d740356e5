"""`govid migrate` on databases at both ends."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from govid.gateway.cli.group import commands
from govid.gateway.migrations import head
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
    assert json.loads(result.stdout) == {"current": head(), "head": head(), "pending": []}


def test_an_empty_database_is_told_and_brought_to_head(
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
    assert json.loads(up.stdout) == {"current": head(), "head": head(), "pending": []}
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


def test_an_unreachable_database_is_a_sentence(runner: CliRunner) -> None:
    runner.env = {**runner.env, "GOVID_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    result = runner.invoke(commands, ["migrate"])
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("govid: no connection to PostgreSQL at ")
