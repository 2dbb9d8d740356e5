"""`govid outbox` on a real outbox: shapes for scripts, sentences for people."""

import json
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner

from govid.gateway.cli.commands import commands
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture


@pytest.fixture
async def event_id(outbox: OutboxFixture) -> UUID:
    """Return the only event: published, and still pending for the NHS."""
    event_id = await outbox.emit()
    await outbox.complete(RELAY)
    return event_id


REPLAY = ("outbox", "replay", "--subscriber", RELAY, "--reason", "a test")


def test_status_as_json(runner: CliRunner, event_id: UUID) -> None:
    result = runner.invoke(commands, ["outbox", "status", "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row.pop("oldest_seconds") > 0
    assert row == {
        "subscriber": SUBSCRIBER,
        "pending": 1,
        "waiting_keys": 0,
        "parked_keys": 0,
        "dead": 0,
        "is_estimate": False,
    }


def test_list_in_a_pipe(runner: CliRunner, event_id: UUID) -> None:
    result = runner.invoke(commands, ["outbox", "list", "--state", "pending"])
    header, line = result.stdout.splitlines()
    assert header.split("\t")[:4] == ["id", "type", "key", "seq"]
    assert line.split("\t")[:2] == [str(event_id), "identity.verification.requested"]


def test_show_masks_unless_it_is_demonstration_data(runner: CliRunner, event_id: UUID) -> None:
    shown = runner.invoke(commands, ["outbox", "show", str(event_id), "--json"])
    assert sorted(json.loads(shown.stdout)) == ["deliveries", "event", "headers", "payload"]
    assert "9990000018" not in shown.output
    raw = runner.invoke(commands, ["outbox", "show", str(event_id), "--raw"])
    assert (raw.exit_code, raw.stdout) == (3, "")


def test_an_unknown_event_is_a_sentence(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["outbox", "show", str(uuid4())])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("govid: there is no event with this id.\n")


def test_a_dry_run_counts_and_touches_nothing(
    runner: CliRunner, event_id: UUID, count_deliveries: Callable[[], int]
) -> None:
    result = runner.invoke(commands, [*REPLAY, "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "deliveries": 1,
        "by_subscriber": {RELAY: 1},
        "replayed": None,
        "act": None,
    }
    assert count_deliveries() == 1


def test_a_replay_says_what_it_did_and_that_it_cannot_be_done_twice(
    runner: CliRunner, event_id: UUID
) -> None:
    result = runner.invoke(commands, [*REPLAY, "--yes", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["replayed"] == 1
    again = runner.invoke(commands, [*REPLAY, "--yes"])
    assert (again.exit_code, again.stdout) == (1, "")


def test_no_one_is_asked_without_a_terminal(
    runner: CliRunner, event_id: UUID, count_deliveries: Callable[[], int]
) -> None:
    result = runner.invoke(commands, REPLAY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --yes" in result.stderr
    assert count_deliveries() == 1


def test_an_unknown_subscriber_is_named_with_those_that_exist(
    runner: CliRunner, event_id: UUID
) -> None:
    result = runner.invoke(
        commands, ["outbox", "replay", "--subscriber", "kafka.rely", "--dry-run"]
    )
    assert result.exit_code == 2
    assert result.stderr == (
        "govid: no subscriber named kafka.rely has ever completed a delivery.\n"
        "  There are: kafka.relay.\n"
    )


def test_a_range_without_anything_in_it_is_a_failure(runner: CliRunner, event_id: UUID) -> None:
    result = runner.invoke(commands, ["outbox", "replay", "--until", "1h", "--dry-run"])
    assert (result.exit_code, result.stdout) == (1, "")
