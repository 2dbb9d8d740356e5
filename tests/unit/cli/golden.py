"""Every --help, as it was last agreed. `python -m tests.unit.cli.golden` writes it anew."""

from pathlib import Path

from click.testing import CliRunner

from govid.gateway.cli.commands import commands

FILE = Path(__file__).with_name("help.txt")
COMMANDS: tuple[tuple[str, ...], ...] = (
    (),
    ("dev",),
    ("serve",),
    ("migrate",),
    ("check",),
    ("config",),
    ("config", "show"),
    ("config", "example"),
    ("seed",),
    ("demo",),
    ("events",),
    ("events", "tail"),
    ("outbox",),
    ("outbox", "status"),
    ("outbox", "list"),
    ("outbox", "show"),
    ("outbox", "groups"),
    ("outbox", "retry"),
    ("outbox", "unpark"),
    ("outbox", "discard"),
    ("outbox", "replay"),
    ("outbox", "backfill"),
    ("outbox", "verify"),
    ("topics",),
    ("topics", "list"),
    ("topics", "accept"),
    ("topics", "accept-gap"),
    ("topics", "skip"),
    ("topics", "accept-ahead"),
    ("audit",),
    ("audit", "search"),
    ("audit", "export"),
    ("audit", "verify"),
    ("keys",),
    ("keys", "list"),
    ("keys", "rotate"),
    ("keys", "retire"),
    ("accounts",),
    ("accounts", "show"),
    ("accounts", "block"),
    ("accounts", "forgive"),
    ("accounts", "release"),
    ("accounts", "restore"),
    ("simulators",),
    ("asyncapi",),
)
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "TERMINAL_WIDTH": "100"}


def help_of(command: tuple[str, ...]) -> str:
    """Return what `govid *command* --help` prints, without trailing spaces."""
    result = CliRunner(env=PLAIN).invoke(commands, [*command, "--help"], prog_name="govid")
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.stdout.splitlines()).strip()


def everything() -> str:
    """Return the help of all commands."""
    parts = (
        f"$ govid {' '.join([*command, '--help'])}\n{help_of(command)}" for command in COMMANDS
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    FILE.write_text(everything(), "utf-8")
