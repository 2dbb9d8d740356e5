"""`govid audit verify`: exit codes, findings and files of published checkpoints."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from govid.bus import BusSettings, Database
from govid.gateway.cli.commands import commands
from tests.audit_entries import AUDIT
from tests.integration.bus.audit.sealed_log import SealedLog, execute_as_superuser
from tests.integration.cli.conftest import in_thread


@pytest.fixture
async def log(bus_settings: BusSettings, database: Database) -> SealedLog:
    """Return a log of three sealed entries."""
    log = SealedLog(bus_settings, database)
    await log.write(3)
    await log.build_sealer().run_once()
    return log


@pytest.fixture
def verify(runner: CliRunner) -> Callable[..., Any]:
    """Return what runs `govid audit verify` with some options."""
    runner.env = {**runner.env, "GOVID_AUDIT_ORIGIN": AUDIT.origin}

    async def run(*options: str) -> Result:
        result: Result = await in_thread(runner.invoke, commands, ["audit", "verify", *options])
        return result

    return run


async def newest_note(log: SealedLog) -> str:
    note: str = (await log.fetch_checkpoints())[-1]["note"]
    return note


async def test_r22_a_whole_log_ends_with_0(verify: Any, log: SealedLog, tmp_path: Path) -> None:
    file = tmp_path / "published.jsonl"
    record = {"topic": "t", "payload": {"checkpoint": await newest_note(log)}}
    file.write_text(json.dumps(record) + "\n")
    result = await verify("--checkpoints", str(file), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {
            "verified": {"entries": 3, "leaves": 3, "checkpoints": 1, "published": 1, "purged": 0},
            "found": 0,
            "findings": [],
        },
    )


async def test_r22_a_changed_entry_ends_with_5_and_is_named(verify: Any, log: SealedLog) -> None:
    await execute_as_superuser(
        log.database, "UPDATE audit.entry SET content = content || ' ' WHERE position = 2"
    )
    entry_id = await log.database.reads.fetchval("SELECT id FROM audit.entry WHERE position = 2")
    result = await verify()
    assert result.exit_code == 5
    assert f"entry_changed: entry {entry_id} (leaf 1) is not what was sealed" in result.stdout


async def test_r22_a_log_that_was_taken_back_ends_with_5(
    verify: Any, log: SealedLog, tmp_path: Path
) -> None:
    file = tmp_path / "note"
    file.write_text(await newest_note(log))
    await execute_as_superuser(
        log.database,
        "DELETE FROM audit.restricted",
        "DELETE FROM audit.entry",
        "DELETE FROM audit.leaf",
        "DELETE FROM audit.checkpoint",
    )
    assert (await verify()).exit_code == 0
    result = await verify("--checkpoints", str(file), "--json")
    [finding] = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["problem"]) == (5, "log_shortened")


@pytest.mark.parametrize(
    "content",
    ["", "[" * 100_000, '{"a":' * 100_000, "garbage\n" * 10, "\u2014 x y\n", "{\n" * 5],
    ids=["empty", "list", "object", "text", "signature only", "braces"],
)
async def test_r22_a_file_of_something_else_is_a_finding(
    verify: Any, log: SealedLog, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "published"
    file.write_text(content)
    result = await verify("--checkpoints", str(file))
    assert (result.exit_code, "published_" in result.stdout) == (5, True)
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "missing", "."])
async def test_r22_what_is_no_regular_file_is_refused_at_once(
    verify: Any, log: SealedLog, tmp_path: Path, name: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = await verify("--checkpoints", str(tmp_path / name))
    assert (result.exit_code, "cannot be read" in result.stderr) == (3, True)


async def test_r22_another_key_calls_nothing_authentic(
    verify: Any, log: SealedLog, runner: CliRunner
) -> None:
    runner.env = {**runner.env, "GOVID_AUDIT_KEY": "another key for tests, 32 bytes or more"}
    result = await verify("--json")
    problems = {one["problem"] for one in json.loads(result.stdout)["findings"]}
    assert (result.exit_code, problems) == (
        5,
        {"entry_changed", "restricted_changed", "checkpoint_not_signed"},
    )
