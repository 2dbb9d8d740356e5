"""Refusals of operator commands: a sentence, an exit code, and no change (r10)."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from govid.gateway.cli.commands import commands
from govid.gateway.schema_version import head_revision
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture, in_thread

WHY = ("--reason", "a test", "--yes")
RETRY = ("outbox", "retry", "--subscriber", SUBSCRIBER)
DISCARD = ("outbox", "discard", "--subscriber", SUBSCRIBER)


@pytest.fixture
async def parked(outbox: OutboxFixture) -> UUID:
    """Return an event whose key is parked at the NHS."""
    event_id = await outbox.emit()
    await outbox.complete(RELAY)
    await outbox.park(SUBSCRIBER, event_id)
    return event_id


@pytest.fixture
def govid(runner: CliRunner) -> Callable[..., Result]:
    """Return what runs `govid` with some arguments."""
    return lambda *arguments: runner.invoke(commands, arguments)


def test_r10_groups_for_scripts_and_for_people(govid: Any, parked: UUID) -> None:
    ((group),) = json.loads(govid("outbox", "groups", "--json").stdout)
    times = group.pop("first_failed"), group.pop("last_failed")
    assert times[0] <= times[1]
    assert group == {
        "subscriber": SUBSCRIBER,
        "state": "parked",
        "reason": "error",
        "error_class": "ValueError",
        "fingerprint": "f",
        "count": 1,
        "example_id": str(parked),
    }
    chosen = f"--fingerprint f --subscriber {SUBSCRIBER} --reason '...'`"
    assert govid("outbox", "groups").stderr == (
        "The handler raises `ValueError`: fix the handler or its dependency.\n"
        f"An example: `govid outbox show {parked}`\n"
        f"Once the cause is fixed: `govid outbox retry {chosen}\n"
        f"To discard them permanently: `govid outbox discard {chosen}\n"
    )


@pytest.mark.parametrize("verb", ["retry", "unpark", "discard"])
def test_r10_a_dry_run_prints_the_count_that_the_run_then_touches(
    govid: Any, parked: UUID, verb: str
) -> None:
    past_tense = {"retry": "retried", "unpark": "unparked", "discard": "discarded"}[verb]
    command = ("outbox", verb, "--fingerprint", "f", "--json")
    dry = json.loads(govid(*command, "--dry-run").stdout)
    assert dry == {
        "deliveries": 1, "by_subscriber": {SUBSCRIBER: 1}, past_tense: None, "act": None
    }  # fmt: skip
    done = json.loads(govid(*command, *WHY).stdout)
    assert done.pop("act") is not None
    assert done == {"deliveries": 1, "by_subscriber": {SUBSCRIBER: 1}, past_tense: 1}
    again = govid(*command, *WHY)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "matches; nothing was changed." in again.stderr


@pytest.mark.parametrize("verb", ["retry", "unpark", "discard", "replay", "backfill"])
def test_r10_whatever_changes_data_wants_a_reason(govid: Any, parked: UUID, verb: str) -> None:
    result = govid("outbox", verb, "--subscriber", SUBSCRIBER, "--reason", "  ", "--yes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --reason" in result.stderr
    assert states(govid, parked) == {RELAY: "done", SUBSCRIBER: "parked"}


@pytest.mark.parametrize(
    "reason",
    ["asked by jo@example.com", "it was 943 476 5919", "for 9434765919", "AB 12 34 56 C", "a\nb",
     "x" * 501],
)  # fmt: skip
def test_i9_a_reason_that_names_a_person_is_refused(govid: Any, parked: UUID, reason: str) -> None:
    result = govid(*DISCARD, "--reason", reason, "--yes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason not in result.stderr
    assert states(govid, parked) == {RELAY: "done", SUBSCRIBER: "parked"}


def test_a_reason_may_name_events_and_times(govid: Any, parked: UUID) -> None:
    reason = f"like {parked}, fixed on 2026-01-31 12:00, 1.4.2"
    assert govid(*RETRY, "--reason", reason, "--yes").exit_code == 0


def test_r10_a_retry_of_everything_has_to_be_said(govid: Any, parked: UUID) -> None:
    result = govid("outbox", "retry", *WHY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Select deliveries by id" in result.stderr


def test_r10_no_one_is_asked_without_a_terminal(govid: Any, parked: UUID) -> None:
    result = govid(*DISCARD, "--reason", "a test")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --yes" in result.stderr
    assert states(govid, parked) == {RELAY: "done", SUBSCRIBER: "parked"}


async def test_r10_who_acted_is_on_record(govid: Any, parked: UUID, outbox: OutboxFixture) -> None:
    await in_thread(govid, *RETRY, *WHY, "--actor", "ops-7")
    assert await outbox.recorded_actions() == [
        ("bus.outbox.retried", "ops-7", "a test", {SUBSCRIBER: [str(parked)]})
    ]


@pytest.mark.parametrize(
    "command",
    [
        (*RETRY, *WHY),
        (*DISCARD, *WHY),
        ("outbox", "unpark", "--subscriber", SUBSCRIBER, *WHY),
        ("outbox", "replay", "--subscriber", RELAY, *WHY),
        ("outbox", "backfill", "--subscriber", RELAY, *WHY),
        ("outbox", "verify", "--without-kafka"),
    ],
    ids=lambda command: command[1],
)
async def test_r10_a_database_that_is_one_migration_behind_is_refused(
    govid: Any, parked: UUID, outbox: OutboxFixture, command: tuple[str, ...]
) -> None:
    await outbox.connection.execute("UPDATE public.govid_version SET version_num = '0005'")
    result = await in_thread(govid, *command)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        f"govid: the database is at migration 0005, and this release requires {head_revision()};"
        " nothing was changed.\n  `govid migrate` upgrades it.\n"
    )
    assert await outbox.fetch_states(parked) == {RELAY: "done", SUBSCRIBER: "parked"}
    assert await outbox.recorded_actions() == []


def test_r9_a_backfill_wants_to_know_for_whom(govid: Any, parked: UUID) -> None:
    assert govid("outbox", "backfill", *WHY).exit_code == 2
    result = govid("outbox", "backfill", "--subscriber", "nhs.verificatoin", "--dry-run")
    assert result.exit_code == 2
    assert result.stderr == (
        "govid: this release has no subscriber named nhs.verificatoin.\n"
        "  There are: hmrc.consents, hmrc.erasure, hmrc.verification, identity.letters, "
        "identity.lifecycle, identity.verification, kafka.relay, nhs.appointments, nhs.booking, "
        "nhs.verification.\n"
    )


async def test_r9_a_backfill_counts_delivers_and_finds_nothing_more(
    govid: Any, outbox: OutboxFixture
) -> None:
    await outbox.emit()
    await outbox.connection.execute("DELETE FROM bus.delivery WHERE subscriber = $1", SUBSCRIBER)
    command = ("outbox", "backfill", "--subscriber", SUBSCRIBER, "--json")
    dry = await in_thread(govid, *command, "--dry-run")
    assert json.loads(dry.stdout)["deliveries"] == 1
    done = await in_thread(govid, *command, *WHY)
    assert json.loads(done.stdout)["backfilled"] == 1
    again = await in_thread(govid, *command, *WHY)
    assert (again.exit_code, again.stdout) == (1, "")


def test_r10_effects_are_not_repeated_for_everyone_at_once(govid: Any, parked: UUID) -> None:
    result = govid("outbox", "replay", "--since", "1h", "--reexecute", *WHY)
    assert (result.exit_code, result.stdout) == (2, "")


def test_r11_a_sound_outbox_is_proved(govid: Any, parked: UUID) -> None:
    result = govid("outbox", "verify", "--without-kafka", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["events"], report["found"], report["findings"]) == (1, 0, [])
    assert report["deliveries"] == {RELAY: {"done": 1}, SUBSCRIBER: {"parked": 1}}


async def test_r11_an_outbox_that_is_not_ends_with_five_and_a_line_for_each_finding(
    govid: Any, parked: UUID, outbox: OutboxFixture
) -> None:
    await outbox.connection.execute("DELETE FROM bus.receipt")
    result = await in_thread(govid, "outbox", "verify", "--without-kafka")
    assert result.exit_code == 5
    assert result.stdout.splitlines()[-1] == (
        f"lost: kafka.relay has neither a pending delivery nor a receipt of event {parked}. To do: "
        f"`govid outbox backfill --id {parked} --subscriber kafka.relay --reason '...'` publishes "
        "it (again), with the same id."
    )
    assert result.stderr.splitlines()[-1] == "1 events, 1 findings."


def test_r11_a_kafka_that_does_not_answer_proves_nothing(
    govid: Any, runner: CliRunner, parked: UUID
) -> None:
    assert govid("outbox", "verify").exit_code == 4
    runner.env = {**runner.env, "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = govid("outbox", "verify")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith(
        "govid: no Kafka answers at 127.0.0.1:1 (connection refused).\n"
    )


def states(govid: Any, event_id: UUID) -> dict[str, str]:
    """Return the state of the event at each subscriber."""
    shown = json.loads(govid("outbox", "show", str(event_id), "--json").stdout)
    return {line["subscriber"]: line["state"] for line in shown["deliveries"]}
