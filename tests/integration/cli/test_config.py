"""`govid config` and `govid check`."""

import json
from pathlib import Path

from click.testing import CliRunner

from govid.gateway.cli.commands import commands


def test_a_secret_is_never_shown(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["config", "show", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == [
        {"name": "GOVID_DATABASE_URL", "value": "********", "source": "environment"},
        {"name": "GOVID_AUDIT_KEY", "value": "********", "source": "environment"},
    ]


def test_the_example_can_be_used_as_it_is(runner: CliRunner) -> None:
    Path(".env").write_text(runner.invoke(commands, ["config", "example"]).stdout)
    assert runner.invoke(commands, ["config", "show"]).exit_code == 0


def test_all_wrong_settings_are_named_at_once(runner: CliRunner) -> None:
    runner.env = {**runner.env, "GOVID_PORT": "many", "GOVID_HOTS": "x"}
    result = runner.invoke(commands, ["config", "show"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "GOVID_PORT" in result.stderr
    assert "did you mean GOVID_HOST?" in result.stderr


def test_check_lists_every_fault(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["check", "--json"])
    assert result.exit_code == 5
    found = json.loads(result.stdout)
    assert sorted(found) == ["faults", "relay_faults", "warnings"]
    assert "GOVID_PSEUDONYM_KEY is not set" in found["faults"]
    assert "the database requires no password (trust authentication)" in found["faults"]
