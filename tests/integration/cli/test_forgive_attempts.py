"""`govid accounts forgive`: an operator resets attempts and gives a reason."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from govid.bus.events import IdentifierType
from govid.gateway.cli.commands import commands
from govid.identity.identifier_digests import IdentifierDigests
from tests.integration.cli.conftest import in_thread
from tests.integration.cli.test_accounts import ADA, INSERT, NINO, PERSONAL, WHY

SPENT = """
    INSERT INTO identity.verification_attempt
        (id, account_id, identifier_type, identifier_digest, has_facts, reserved_at, outcome,
         settled_at)
    VALUES ($1, $2, 'NIN', $3, true, now(), 'mismatch', now())
"""
COUNTED = "SELECT count(*) FROM identity.verification_attempt WHERE counts"
ACTS = "SELECT count(*) FROM bus.event WHERE type = 'identity.verification.attempts_forgiven'"


@pytest.fixture
async def exhausted(connection: Any) -> UUID:
    """Return the id of an account that has one attempt left, with a number that has none."""
    digest = IdentifierDigests(b"k" * 32).for_identifier(IdentifierType.NIN, NINO).current
    await connection.execute(INSERT, ADA)
    await connection.execute(SPENT, uuid4(), ADA, digest)
    await connection.execute(SPENT, uuid4(), None, digest)
    return ADA


@pytest.fixture
def forgive(runner: CliRunner) -> Callable[..., Result]:
    """Return what runs `govid accounts forgive`."""
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": "k" * 32}
    return lambda *arguments, typed=None: runner.invoke(
        commands, ["accounts", "forgive", *arguments], input=typed
    )


def test_what_was_spent_is_given_back_once(forgive: Any, exhausted: UUID) -> None:
    result = forgive(str(exhausted), *WHY, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {
            "account_id": str(exhausted),
            "status": "verified",
            "attempts_of_account": 1,
            "attempts_of_identifier": 2,
            "done": True,
        },
    )
    again = forgive(str(exhausted), *WHY)
    assert (again.exit_code, again.stdout, again.stderr) == (
        1,
        "",
        "govid: no verification attempt of this account or its identifier has been used.\n",
    )


async def test_each_action_is_in_the_outbox(forgive: Any, exhausted: UUID, connection: Any) -> None:
    await in_thread(forgive, str(exhausted), *WHY)
    assert await connection.fetchval(COUNTED) == 0
    row = await connection.fetchrow("""
        SELECT headers->'actor'->>'id' AS actor, payload::json->>'attempts' AS attempts,
               payload::json->>'stated_reason' AS stated_reason
        FROM bus.event WHERE type = 'identity.verification.attempts_forgiven'
    """)
    assert tuple(row) == ("ops-7", "2", "case 71")


async def test_a_dry_run_changes_nothing(forgive: Any, exhausted: UUID, connection: Any) -> None:
    result = await in_thread(forgive, str(exhausted), "--dry-run", "--json")
    assert (result.exit_code, json.loads(result.stdout)["done"]) == (0, False)
    assert await connection.fetchval(COUNTED) == 2
    assert await connection.fetchval(ACTS) == 0


def test_i9_the_holder_is_found_by_what_is_typed_and_never_shown(
    forgive: Any, exhausted: UUID
) -> None:
    result = forgive("--identifier", *WHY, "--json", typed="ab 12 34 56 c\n")
    assert json.loads(result.stdout)["account_id"] == str(exhausted)
    assert [text for text in PERSONAL if text in result.output] == []


async def test_without_a_reason_nothing_is_done(
    forgive: Any, exhausted: UUID, connection: Any
) -> None:
    result = await in_thread(forgive, str(exhausted), "--yes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --reason" in result.stderr
    assert await connection.fetchval(COUNTED) == 2


def test_without_the_servers_key_nothing_is_counted(
    runner: CliRunner, forgive: Any, exhausted: UUID
) -> None:
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": None}
    result = forgive(str(exhausted), "--dry-run")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "GOVID_PSEUDONYM_KEY is not set" in result.stderr
