"""The command `govid`: a table of commands, and the one place where errors become exit codes.

`govid --help` has half a second. What a command needs (a database driver, a web server) takes
longer than that to import, so a command's module is imported when the command runs, and not
before: the table below holds all that the list of commands shows.
"""

import importlib
import os
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
from govid.gateway.cli.output import note

STARTED = time.monotonic()
"""When this process began to do govid's work: what users wait for includes the imports."""


class Entry(msgspec.Struct, frozen=True):
    """A command that has not been imported: where it is and what the list says about it."""

    module: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "dev": Entry("dev", "Start everything on this machine, with demonstration data."),
    "serve": Entry("serve", "Run the server, with production's safety rules."),
    "migrate": Entry("migrate", "Bring the database to this release's schema."),
    "check": Entry("check", "List every fault of the settings and the backends."),
    "config": Entry("config", "Show the settings in force, or an example file."),
    "seed": Entry("seed", "Put demonstration people into the database."),
    "demo": Entry("demo", "Play a story against the running server and watch it happen."),
    "events": Entry("events", "Watch what passes on the topics."),
    "outbox": Entry("outbox", "Inspect what is owed to whom, mend it, replay, verify."),
    "topics": Entry("topic_commands", "Look at the topics in Kafka, and accept what changed."),
    "accounts": Entry("accounts", "Look at one account, block it, or give it back."),
    "keys": Entry("keys", "Show the keys that sign tokens, and let them take turns."),
    "simulators": Entry("simulators", "Run the simulated departments alone, on a port."),
    "asyncapi": Entry("asyncapi", "Describe every topic, as AsyncAPI in JSON."),
}


class Commands(rich_click.RichGroup):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return what the list of commands needs to know about *cmd_name*."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return rich_click.RichCommand(name=cmd_name, help=entry.summary) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that is about to run."""
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
        """Run a command and leave with its exit code."""
        del standalone_mode, windows_expand_args
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words
        try:
            status = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.UsageError as error:
            _say(_usage(error))
            sys.exit(ExitCode.USAGE)
        except click.ClickException as error:
            _trace(debug)
            _say(error.format_message())
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(ExitCode.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - the edge: everything becomes a sentence
            _trace(debug)
            if (explained := _explain(error)) is not None:
                _say(explained.format_message())
                sys.exit(explained.exit_code)
            _say(f"{type(error).__name__}: {error}\n  Run again with --debug for the traceback.")
            sys.exit(ExitCode.FAILED)
        sys.exit(status if isinstance(status, int) else ExitCode.DONE)


def open_closed_streams() -> None:
    """Give the process a null device for each standard stream that was closed (`govid ... >&-`).

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


def _usage(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "govid"
    return f"{error.format_message()}\n  {where} --help shows how it is used."


def _explain(error: Exception) -> click.ClickException | None:
    # The drivers take long to import, and only what used one can have raised such an error.
    if "asyncpg" not in sys.modules:
        return None
    from govid.gateway.cli.database_errors import explain  # noqa: PLC0415

    return explain(error)


def _trace(debug: bool) -> None:
    if debug:
        traceback.print_exc()


def _say(message: str) -> None:
    note(f"govid: {message}")


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: govid dev, and in a second terminal: govid demo all",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="govid", message="%(prog)s %(version)s")
def commands(debug: bool) -> None:
    """govid, a citizen-identity hub: one process, one outbox, nothing lost."""
    del debug  # read where errors are shown, after this function's context is gone


def main() -> NoReturn:
    """Run `govid`."""
    open_closed_streams()
    commands(prog_name="govid")
    raise AssertionError("a command always ends with an exit code")
