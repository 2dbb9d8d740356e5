"""Errors of commands: each has a message, a remedy and an exit code."""

from enum import IntEnum

import click


class ExitCode(IntEnum):
    """Exit codes of all commands. They are part of the interface for scripts and never change."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    WRONG = 5
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """A command failed. `remedy` says what the operator can do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, remedy: str = "") -> None:
        """Store the *message*, one sentence, and its *remedy*, which may be empty."""
        super().__init__(message)
        self.remedy = remedy

    def format_message(self) -> str:
        """Return the message and the remedy, each on its own line."""
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class CommandRefused(CommandError):
    """A safety rule refuses the command."""

    exit_code = ExitCode.REFUSED


class BackendUnreachable(CommandError):
    """A backend does not answer."""

    exit_code = ExitCode.UNREACHABLE


class CheckFailed(CommandError):
    """A check ran and found a fault."""

    exit_code = ExitCode.WRONG


class InvalidUsage(CommandError):
    """The options or the settings cannot be used."""

    exit_code = ExitCode.USAGE
