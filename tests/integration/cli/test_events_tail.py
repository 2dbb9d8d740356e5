"""`govid events tail` without a Kafka."""

import json
from uuid import UUID

import pytest
from click.testing import CliRunner

from govid.gateway.cli.commands import commands
from tests.integration.cli.conftest import OutboxFixture

TAIL = ("events", "tail", "--since", "1h", "--limit", "1")


@pytest.fixture
async def event_id(outbox: OutboxFixture) -> UUID:
    return await outbox.emit()


def test_it_reads_the_outbox_and_says_what_is_not_there(runner: CliRunner, event_id: UUID) -> None:
    result = runner.invoke(commands, [*TAIL, "--json"])
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "From the outbox: it has no activity records and no decisions about reads.",
        "Listening. Ctrl-C ends.",
    ]
    line = json.loads(result.stdout)
    assert sorted(line) == ["id", "key", "payload", "position", "time", "topic", "type"]
    assert (line["id"], line["topic"], line["type"]) == (
        str(event_id),
        "identity.verification.request",
        "identity.verification.requested",
    )
    assert line["payload"]["identifierValue"] == "***"


def test_a_kafka_that_is_away_is_no_reason_to_see_nothing(
    runner: CliRunner, event_id: UUID
) -> None:
    runner.env = {**runner.env, "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = runner.invoke(commands, TAIL)
    assert result.exit_code == 0, result.output
    first = "no Kafka answers at 127.0.0.1:1 (connection refused): reading the outbox."
    assert result.stderr.splitlines()[0] == first


def test_a_kafka_that_was_asked_for_and_is_away_ends_it(runner: CliRunner) -> None:
    runner.env = {**runner.env, "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = runner.invoke(commands, [*TAIL, "--source", "kafka"])
    assert (result.exit_code, result.stdout) == (4, "")


def test_raw_outside_a_demonstration_wants_a_reason_and_leaves_a_line(
    runner: CliRunner, event_id: UUID
) -> None:
    refused = runner.invoke(commands, [*TAIL, "--raw"])
    assert (refused.exit_code, refused.stdout) == (3, "")
    allowed = runner.invoke(commands, [*TAIL, "--raw", "--reason", "a test", "--json"])
    assert json.loads(allowed.stdout)["payload"]["identifierValue"] == "9990000018"
    audit = json.loads(allowed.stderr.splitlines()[0])
    assert (audit["event"], audit["reason"]) == ("events.read_raw", "a test")


def test_it_ends_where_the_records_end_if_that_is_wanted(runner: CliRunner, event_id: UUID) -> None:
    result = runner.invoke(commands, ["events", "tail", "--since", "1h", "--no-follow", "--json"])
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [str(event_id)]
    assert "Listening" not in result.stderr


def test_an_end_without_a_beginning_is_refused(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["events", "tail", "--no-follow"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--since" in result.stderr


def test_a_topic_and_a_key_narrow_it(runner: CliRunner, event_id: UUID) -> None:
    wanted = (
        "--topic",
        "identity.verification.request",
        "--type",
        "identity.verification.requested",
    )
    result = runner.invoke(commands, [*TAIL, *wanted, "--json"])
    assert json.loads(result.stdout)["id"] == str(event_id)
