"""`govid topics` on a real database: where the inbox has stopped, and stepping over it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from govid.gateway.cli.commands import commands
from tests.integration.cli.conftest import OutboxFixture, in_thread

TOPIC = "hmrc.death.notification"


@pytest.fixture
async def fault(outbox: OutboxFixture) -> OutboxFixture:
    """Let the inbox have stopped at three records."""
    await outbox.connection.execute(
        """
        INSERT INTO bus.topic (name, partitions)
        VALUES ('hmrc.death.notification', 4), ('nhs.appointment.request', 2);
        INSERT INTO bus.inbound_fault (topic, partition, first_offset, next_offset, kind, reason)
        VALUES ('hmrc.death.notification', 2, 1117, 1120, 'unreadable', 'checksum')
        """
    )
    return outbox


async def fetch_actions(outbox: OutboxFixture) -> list[dict[str, Any]]:
    rows = await outbox.connection.fetch(
        "SELECT key, payload::text AS payload FROM bus.event WHERE type = $1",
        "bus.topic.records_skipped",
    )
    return [{"key": row["key"], **json.loads(row["payload"])} for row in rows]


@pytest.fixture
def skip(runner: CliRunner) -> Callable[..., Result]:
    return lambda *arguments: runner.invoke(commands, ["topics", "skip", *arguments])


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a1_status_names_where_the_inbox_has_stopped(
    runner: CliRunner, fault: OutboxFixture, options: list[str]
) -> None:
    result = runner.invoke(commands, ["outbox", "status", *options])
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        f"The inbox has stopped at {TOPIC}/2/1117 (unreadable, checksum). "
        f"Next: docs/runbook.md, or `govid topics skip {TOPIC} 2 1117 --reason '...'`\n"
    )


def test_a1_list_shows_where_the_inbox_has_stopped(runner: CliRunner, fault: OutboxFixture) -> None:
    result = runner.invoke(commands, ["topics", "list", "--json"])
    assert result.exit_code == 0, result.output
    rows = {row["topic"]: row for row in json.loads(result.stdout)}
    stopped = {topic: (row["partitions"], row["stopped_at"]) for topic, row in rows.items()}
    assert stopped == {TOPIC: (4, ["2/1117"]), "nhs.appointment.request": (2, None)}


async def test_a1_a_step_over_is_recorded_once(
    skip: Callable[..., Result], fault: OutboxFixture
) -> None:
    place = (TOPIC, "2", "1117")
    result = await in_thread(skip, *place, "--reason", "case 72", "--yes", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (act,) = await fetch_actions(fault)
    assert document == {
        "topic": TOPIC,
        "partition": 2,
        "first_offset": 1117,
        "next_offset": 1120,
        "kind": "unreadable",
        "reason": "checksum",
        "act": act["actId"],
    }
    assert {name: act[name] for name in ("key", "statedReason", "topic", "partition", "fault")} == {
        "key": "operator/topics",
        "statedReason": "case 72",
        "topic": TOPIC,
        "partition": 2,
        "fault": "unreadable: checksum",
    }
    assert (act["firstOffset"], act["nextOffset"]) == (1117, 1120)
    assert await fault.connection.fetchval(
        "SELECT accepted_at IS NOT NULL FROM bus.inbound_fault WHERE first_offset = 1117"
    )
    again = await in_thread(skip, *place, "--reason", "case 72", "--yes")
    assert (again.exit_code, len(await fetch_actions(fault))) == (1, 1)
    assert "another operator has already accepted this" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((TOPIC, "2", "1117", "--dry-run"), 0),
        ((TOPIC, "2", "1117"), 2),
        ((TOPIC, "2", "1117", "--reason", "no terminal"), 2),
        ((TOPIC, "2", "1117", "--reason", "about ada@example.org", "--yes"), 2),
        ((TOPIC, "2", "1118", "--reason", "another offset", "--yes"), 1),
        ((TOPIC, "1", "1117", "--reason", "another partition", "--yes"), 1),
        (("nhs.appointment.request", "2", "1117", "--reason", "another topic", "--yes"), 1),
        ((TOPIC, "-1", "1117", "--reason", "no partition", "--yes"), 2),
    ],
)
async def test_a1_nothing_else_is_stepped_over(
    skip: Callable[..., Result], fault: OutboxFixture, arguments: tuple[str, ...], code: int
) -> None:
    result = await in_thread(skip, *arguments)
    assert result.exit_code == code, result.output
    assert await fetch_actions(fault) == []
    assert not await fault.connection.fetchval(
        "SELECT bool_or(accepted_at IS NOT NULL) FROM bus.inbound_fault"
    )


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        (("topics", "list"), 0, "{}: the topics in Kafka are not known."),
        (("topics", "accept", "nhs.appointment.request", "--reason", "x"), 4, "govid: {}."),
        (("topics", "accept-ahead", "--reason", "x"), 4, "govid: {}."),
        (("events", "tail", "--source", "kafka", "--limit", "1"), 4, "govid: {}."),
        (("outbox", "verify"), 4, "govid: {}."),
        (("outbox", "replay", "--unproved", "--dry-run"), 4, "govid: {}."),
    ],
)
def test_f11_every_command_says_why_no_kafka_answers(
    runner: CliRunner, fault: OutboxFixture, command: tuple[str, ...], code: int, line: str
) -> None:
    runner.env = {**runner.env, "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1,kafka.invalid"}
    result = runner.invoke(commands, command)
    why = (
        "no Kafka answers at 127.0.0.1:1 (connection refused), kafka.invalid:9092 (its name is "
        "not known)"
    )
    assert line.format(why) in result.stderr.splitlines()
    assert result.exit_code == code


async def test_what_acls_do_not_allow_to_read_is_not_skipped(
    runner: CliRunner, skip: Callable[..., Result], fault: OutboxFixture
) -> None:
    await fault.connection.execute(
        "UPDATE bus.inbound_fault SET reason = 'TopicAuthorizationFailedError'"
    )
    result = await in_thread(skip, TOPIC, "2", "1117", "--reason", "case 72", "--yes")
    assert result.exit_code == 3
    assert "its records can be read" in result.stderr
    assert await fetch_actions(fault) == []
    status = await in_thread(runner.invoke, commands, ["outbox", "status"])
    assert "ACLs do not allow it to read. Next: `govid check`" in status.stderr
