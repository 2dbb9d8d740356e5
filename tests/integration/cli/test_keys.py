"""`govid keys`: what an operator sees of the signing keys, and what they may do."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from govid.gateway.cli.commands import commands

REASON = ("--reason", "every quarter")


@pytest.fixture
def govid(runner: CliRunner) -> Any:
    """Return a function that runs a command."""

    env = {
        "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
        "GOVID_KEY_ENCRYPTION_KEY": "another key for tests, of 32 bytes or more",
    }

    def run(*arguments: str, **more: str) -> Result:
        return runner.invoke(commands, list(arguments), prog_name="govid", env={**env, **more})

    return run


def listed(govid: Any) -> list[tuple[str, str]]:
    """Return kid and state of every key."""
    result = govid("keys", "list", "--json")
    assert result.exit_code == 0, result.stderr
    return [(row["kid"], row["state"]) for row in json.loads(result.stdout)]


def rotated(govid: Any, *options: str) -> str:
    """Rotate; return the new key's id."""
    result = govid("keys", "rotate", *REASON, "--json", *options)
    assert result.exit_code == 0, result.stderr
    return str(json.loads(result.stdout)["kid"])


def test_a_rotation_publishes_a_key_that_signs_later(govid: Any) -> None:
    first = rotated(govid, "--now", "--yes")
    second = rotated(govid)
    assert listed(govid) == [(first, "active"), (second, "next")]


def test_a_key_that_signs_at_once_names_the_one_before_it_if_there_is_one(govid: Any) -> None:
    first = govid("keys", "rotate", *REASON, "--json", "--now", "--yes")
    second = govid("keys", "rotate", *REASON, "--json", "--now", "--yes")
    assert first.stderr.splitlines()[-1] == "It signs now. No other key is accepted."
    assert second.stderr.splitlines()[-1] == (
        f"It signs now. Still accepted: {json.loads(first.stdout)['kid']}. `govid keys retire KID` "
        "ends that."
    )


def test_a_second_rotation_is_refused_while_one_is_on_its_way(govid: Any) -> None:
    rotated(govid)
    result = govid("keys", "rotate", *REASON)
    assert result.exit_code == 3
    assert "already published" in result.stderr


def test_a_key_that_has_signed_can_be_retired(govid: Any) -> None:
    first, second = rotated(govid, "--now", "--yes"), rotated(govid, "--now", "--yes")
    result = govid("keys", "retire", first, "--reason", "it leaked", "--yes", "--json")
    assert json.loads(result.stdout) == {"kid": first, "state": "retired"}
    assert listed(govid) == [(first, "retired"), (second, "active")]


def test_the_key_that_signs_is_not_retired(govid: Any) -> None:
    kid = rotated(govid, "--now", "--yes")
    result = govid("keys", "retire", kid, *REASON, "--yes")
    assert result.exit_code == 3
    assert result.stderr == (
        "govid: this key signs: `govid keys rotate --now` first; nothing was changed.\n"
    )


def test_a_key_that_is_not_there_is_named_before_anything_is_asked(govid: Any) -> None:
    result = govid("keys", "retire", "no-such-key", *REASON)
    assert (result.exit_code, result.stderr) == (
        3,
        "govid: there is no such key: `govid keys list` shows them; nothing was changed.\n",
    )


def test_an_operator_without_the_servers_key_changes_nothing(govid: Any) -> None:
    kid = rotated(govid, "--now", "--yes")
    result = govid("keys", "rotate", *REASON, GOVID_KEY_ENCRYPTION_KEY="a stranger's key, as long")
    assert result.exit_code == 1
    assert "GOVID_KEY_ENCRYPTION_KEY" in result.stderr
    assert listed(govid) == [(kid, "active")]


@pytest.mark.parametrize("command", [("rotate",), ("retire", "x")], ids=["rotate", "retire"])
def test_nothing_is_done_without_a_reason(govid: Any, command: tuple[str, ...]) -> None:
    result = govid("keys", *command, "--yes")
    assert result.exit_code == 2
    assert "--reason" in result.stderr
