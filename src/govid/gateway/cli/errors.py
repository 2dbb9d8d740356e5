"""How a command ends when it does not end well: one sentence, one remedy, one exit code."""

from enum import IntEnum

import click


class ExitCode(IntEnum):
    """What a script learns from `$?`. The numbers never change."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    WRONG = 5
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """A command cannot go on. `remedy` says what the person at the terminal can do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, remedy: str = "") -> None:
        """Say what is wrong, in one sentence, and what helps."""
        super().__init__(message)
        self.remedy = remedy

    def format_message(self) -> str:
        """Return both sentences."""
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class Refused(CommandError):
    """A safety rule says no."""

    exit_code = ExitCode.REFUSED


class Unreachable(CommandError):
    """A backend does not answer."""

    exit_code = ExitCode.UNREACHABLE


class FoundWrong(CommandError):
    """The check ran, and what it checked is wrong."""

    exit_code = ExitCode.WRONG


class WrongUsage(CommandError):
    """The options make no sense together."""

    exit_code = ExitCode.USAGE
