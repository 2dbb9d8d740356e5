"""Whatever happens, a script learns it from the exit code, and a person from one sentence."""

import click
import pytest
from click.testing import CliRunner

from govid import __version__
from govid.gateway.cli import errors
from govid.gateway.cli.commands import CommandGroup, commands


def command_that_raises(error: BaseException) -> CommandGroup:
    @click.group(cls=CommandGroup)
    @click.option("--debug", is_flag=True)
    def group(debug: bool) -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CommandError("It failed."), 1),
        (click.UsageError("Not like this."), 2),
        (errors.InvalidUsage("Not like this."), 2),
        (errors.CommandRefused("No."), 3),
        (errors.BackendUnreachable("It does not answer."), 4),
        (errors.CheckFailed("Wrong."), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (ZeroDivisionError("by zero"), 1),
    ],
    ids=str,
)
def test_each_end_has_its_code(runner: CliRunner, error: BaseException, code: int) -> None:
    assert runner.invoke(command_that_raises(error), ["dev"]).exit_code == code


def test_an_error_is_a_sentence_and_a_remedy_on_stderr(runner: CliRunner) -> None:
    error = errors.BackendUnreachable("the database is away.", "Start it.")
    result = runner.invoke(command_that_raises(error), ["dev"])
    assert result.stdout == ""
    assert result.stderr == "govid: the database is away.\n  Start it.\n"


def test_an_unexpected_error_shows_its_traceback_only_when_asked(runner: CliRunner) -> None:
    group = command_that_raises(ZeroDivisionError("by zero"))
    assert runner.invoke(group, ["dev"]).stderr == (
        "govid: ZeroDivisionError: by zero\n  Run again with --debug for the traceback.\n"
    )
    assert "Traceback (most recent call last)" in runner.invoke(group, ["--debug", "dev"]).stderr


def test_an_unknown_command_says_where_help_is(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["sevre"], prog_name="govid")
    assert result.exit_code == 2
    assert result.stderr.endswith("  govid --help shows the usage.\n")


def test_the_version_is_reported(runner: CliRunner) -> None:
    result = runner.invoke(commands, ["--version"], prog_name="govid")
    assert (result.exit_code, result.stdout) == (0, f"govid {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("outbox", "replay", "--reason", "x", "--yes"),
        ("outbox", "replay", "--key", "a/b"),
        ("outbox", "replay", "--key", "a/b", "--reason", " "),
        ("outbox", "list", "--since", "yesterday"),
        ("outbox", "list", "--since", "1h", "--until", "2h"),
        ("outbox", "show", "not-an-id"),
        ("events", "tail", "--topic", "no.such.topic"),
        ("demo", "no-such-story"),
    ],
    ids=" ".join,
)
def test_wrong_usage_touches_nothing(runner: CliRunner, arguments: tuple[str, ...]) -> None:
    assert runner.invoke(commands, arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("outbox", "status"),
        ("outbox", "replay", "--key", "a/b", "--dry-run"),
        ("events", "tail"),
        ("seed", "--yes"),
        ("demo", "register"),
        ("migrate", "status"),
    ],
    ids=" ".join,
)
def test_nothing_to_speak_to_is_said_in_a_sentence(
    runner: CliRunner, arguments: tuple[str, ...]
) -> None:
    result = runner.invoke(commands, arguments)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("govid: no ")
