"""Defines the command `govid`: the table of commands and the mapping of errors to exit codes.

`govid --help` must answer within half a second. Importing a database driver or a web server takes
longer, so a command's module is imported only when the command runs (I13). The table below holds
everything that the list of commands shows.
"""

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click
import msgspec
import rich_click

from govid import __version__
from govid.gateway.cli.errors import ExitCode
from govid.gateway.cli.output import print_note

STARTED_AT = time.monotonic()
"""Start of this process on the monotonic clock; the reported start time includes imports."""


class CommandEntry(msgspec.Struct, frozen=True):
    """One command of the table: its module, imported on use, and its line in the list."""

    module: str
    summary: str


COMMANDS: Mapping[str, CommandEntry] = {
    "dev": CommandEntry(
        "serving.dev", "Start everything on this machine, with demonstration data."
    ),
    "serve": CommandEntry("serving.serve", "Run the server, with production's safety rules."),
    "migrate": CommandEntry("migrate", "Bring the database to this release's schema."),
    "check": CommandEntry("check", "List every fault of the settings and the backends."),
    "config": CommandEntry("config", "Show the settings in force, or an example file."),
    "seed": CommandEntry("seed", "Add demonstration people to the database."),
    "demo": CommandEntry(
        "demo.command", "Run a scenario against the running server and show its events."
    ),
    "events": CommandEntry("events", "Follow the events on the topics."),
    "outbox": CommandEntry(
        "outbox.inspection", "Inspect deliveries, repair, replay and verify them."
    ),
    "topics": CommandEntry("topics", "Show the topics in Kafka, and accept changes to them."),
    "accounts": CommandEntry("accounts", "Show an account, block it or restore it."),
    "audit": CommandEntry("audit.commands", "Search, export and verify the audit log."),
    "keys": CommandEntry("keys", "Show, rotate and retire the keys that sign access tokens."),
    "simulators": CommandEntry(
        "serving.simulators", "Run the simulated departments alone, on a port."
    ),
    "asyncapi": CommandEntry("asyncapi", "Print the AsyncAPI document of all topics."),
}


class CommandGroup(rich_click.RichGroup):
    """A command group that imports a command only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order in which a new user needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a stub of *cmd_name* that holds its name and summary only."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return rich_click.RichCommand(name=cmd_name, help=entry.summary) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that is about to run and return it in place of its stub."""
        name, stub, rest = super().resolve_command(ctx, args)
        if name is None or stub is None:
            return name, stub, rest
        module = importlib.import_module(f"govid.gateway.cli.{COMMANDS[name].module}")
        command: click.Command = module.command
        return name, command, rest

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and end the process with its exit code."""
        del standalone_mode, windows_expand_args
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        try:
            status = super().main(
                arguments, prog_name, complete_var, standalone_mode=False, **extra
            )
        except click.UsageError as error:
            _print_error(_format_usage_error(error))
            sys.exit(ExitCode.USAGE)
        except click.ClickException as error:
            _print_traceback(debug)
            _print_error(error.format_message())
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(ExitCode.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - the edge: any error becomes one sentence
            _print_traceback(debug)
            if (explained := _explain_database_error(error)) is not None:
                _print_error(explained.format_message())
                sys.exit(explained.exit_code)
            _print_error(
                f"{type(error).__name__}: {error}\n  Run again with --debug for the traceback."
            )
            sys.exit(ExitCode.FAILED)
        sys.exit(status if isinstance(status, int) else ExitCode.DONE)


def replace_closed_streams() -> None:
    """Open the null device for each standard stream that is closed (`govid ... >&-`).

    Otherwise Python has no stream there, and the next file or socket would get its descriptor.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free descriptor, which is this one.
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115


def _format_usage_error(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "govid"
    return f"{error.format_message()}\n  {where} --help shows the usage."


def _explain_database_error(error: Exception) -> click.ClickException | None:
    # Drivers are slow to import. If none was imported, the error is not a database error.
    if "asyncpg" not in sys.modules:
        return None
    from govid.gateway.cli.target import explain_database_error  # noqa: PLC0415

    return explain_database_error(error)


def _print_traceback(debug: bool) -> None:
    if debug:
        traceback.print_exc()


def _print_error(message: str) -> None:
    print_note(f"govid: {message}")


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: govid dev, and in a second terminal: govid demo all",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="govid", message="%(prog)s %(version)s")
def commands(debug: bool) -> None:
    """govid, a citizen-identity hub: one process with a transactional outbox."""
    del (
        debug
    )  # Read from the arguments in `main`, because errors are shown after this context ends.


def main() -> NoReturn:
    """Run `govid`."""
    replace_closed_streams()
    if "serve" in sys.argv[1:]:
        # SIGHUP would end the process during its imports; the command then handles it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    commands(prog_name="govid")
    raise AssertionError("a command always ends with an exit code")
