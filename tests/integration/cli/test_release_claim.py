"""`govid accounts release`: an operator releases an identifier and gives a reason."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from govid.gateway.cli.commands import commands
from tests.integration.cli.conftest import in_thread
from tests.integration.cli.test_accounts import ADA, INSERT, NINO, PERSONAL, WHY

CLAIM = "UPDATE identity.account SET status = 'verification_failed'"
HELD = "SELECT count(*) FROM identity.account WHERE identifier_value IS NOT NULL"


@pytest.fixture
async def claimant(connection: Any) -> UUID:
    """Return the id of an account whose claim failed."""
    await connection.execute(INSERT, ADA)
    await connection.execute(CLAIM)
    return ADA


@pytest.fixture
def release(runner: CliRunner) -> Callable[..., Result]:
    """Return what runs `govid accounts release`."""
    runner.env = {**runner.env, "GOVID_PSEUDONYM_KEY": "k" * 32}
    return lambda *arguments, typed=None: runner.invoke(
        commands, ["accounts", "release", *arguments], input=typed
    )


def test_i9_a_claim_is_found_by_what_is_typed_and_ended_once(release: Any, claimant: UUID) -> None:
    result = release("--identifier", *WHY, "--json", typed=f"{NINO}\n")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {
            "account_id": str(claimant),
            "status_before": "verification_failed",
            "status": "registered",
            "done": True,
        },
    )
    assert [text for text in PERSONAL if text in result.output] == []
    again = release(str(claimant), *WHY)
    assert (again.exit_code, again.stdout, again.stderr) == (
        1,
        "",
        "govid: the account holds no identifier.\n",
    )


async def test_a_dry_run_changes_nothing(release: Any, claimant: UUID, connection: Any) -> None:
    result = await in_thread(release, str(claimant), "--dry-run", "--json")
    assert (result.exit_code, json.loads(result.stdout)["done"]) == (0, False)
    assert await connection.fetchval(HELD) == 1
    types = await connection.fetch("SELECT type FROM bus.event")
    assert [row["type"] for row in types] == ["operator.data.viewed"]


async def test_without_a_reason_nothing_is_done(
    release: Any, claimant: UUID, connection: Any
) -> None:
    result = await in_thread(release, str(claimant), "--yes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --reason" in result.stderr
    assert await connection.fetchval(HELD) == 1


async def test_b8_a_verified_identifier_is_released_only_in_so_many_words(
    release: Any, connection: Any
) -> None:
    await connection.execute(INSERT, ADA)
    refused = await in_thread(release, str(ADA), *WHY)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "govid: a department has confirmed this identifier; use --verified to release it anyway.\n"
    )
    result = await in_thread(release, str(ADA), "--verified", *WHY, "--json")
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "registered")
