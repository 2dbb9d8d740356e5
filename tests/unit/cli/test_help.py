"""The help of every command is as agreed, and the list of commands needs no imports."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from govid.gateway.cli.commands import COMMANDS, CommandEntry
from tests.unit.cli import golden
from tests.unit.cli.terminal_cases import CASES, DEMONSTRATION, SERVERS


def test_the_help_of_all_commands_is_as_agreed() -> None:
    # After a wanted change: python -m tests.unit.cli.golden, and read the difference.
    assert golden.everything() == golden.FILE.read_text("utf-8")


@pytest.mark.parametrize("command", golden.COMMANDS, ids=" ".join)
def test_every_help_shows_an_example(command: tuple[str, ...]) -> None:
    assert "\n Example: govid " in golden.help_of(command)


@pytest.mark.parametrize(("name", "entry"), COMMANDS.items(), ids=COMMANDS)
def test_the_list_tells_of_commands_that_exist(name: str, entry: CommandEntry) -> None:
    command = importlib.import_module(f"govid.gateway.cli.{entry.module}").command
    assert command.name == name


def test_help_imports_no_driver_and_no_framework() -> None:
    script = (
        "import sys\n"
        "from govid.gateway.cli.commands import commands\n"
        "try: commands(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'asyncpg', 'sqlalchemy', 'litestar', 'uvicorn', 'aiokafka', 'pydantic'}\n"
        "sys.exit(len(slow & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode
        == 0
    )


WEB = {"litestar", "uvicorn"}
MAPPER = {"sqlalchemy", "alembic"}
KAFKA = {"aiokafka"}
SETTINGS = {"pydantic"}
DRIVER = {"asyncpg"}
DEPARTMENTS = {"httpx", "jwt"}
IDENTITY = {"argon2", "phonenumbers", "email_validator"}

IMPORTS = """
import sys
from govid.gateway.cli.commands import commands
try: commands(sys.argv[1:])
except SystemExit: pass
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (("--version",), WEB | MAPPER | KAFKA | SETTINGS | DRIVER | DEPARTMENTS | IDENTITY),
        (("--help",), WEB | MAPPER | KAFKA | SETTINGS | DRIVER | DEPARTMENTS | IDENTITY),
        (("config", "example"), WEB | MAPPER | KAFKA | DEPARTMENTS | IDENTITY),
        (("check", "--help"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("outbox", "--help"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("topics", "--help"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("events", "tail", "--help"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("accounts", "show", "--help"), WEB | MAPPER | KAFKA | DEPARTMENTS | IDENTITY),
        (("audit", "search", "--help"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("keys", "list", "--help"), WEB | MAPPER | KAFKA | DEPARTMENTS | IDENTITY),
        (("dev", "--help"), WEB | MAPPER | KAFKA | DEPARTMENTS | IDENTITY),
        (("migrate", "--help"), WEB | KAFKA | DEPARTMENTS | IDENTITY),
        (("seed", "--help"), WEB | DEPARTMENTS),
        (("asyncapi",), WEB | DEPARTMENTS | IDENTITY),
        # Run, against a port where nothing listens: they connect before they import more.
        (("outbox", "status"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("outbox", "list"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("outbox", "groups"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
        (("keys", "list"), WEB | MAPPER | DEPARTMENTS | IDENTITY),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_i13_a_command_imports_nothing_that_it_does_not_use(
    words: tuple[str, ...], unwanted: set[str], tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS, *words],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "GOVID_DATABASE_URL": "postgresql://govid@127.0.0.1:1/govid"},
    )
    assert unwanted & set(ran.stderr.splitlines()[-1].split()) == set()


@pytest.mark.parametrize("package", ["govid.bus", "govid.identity", "govid.nhs", "govid.hmrc"])
def test_i13_a_package_offers_what_its_modules_define(package: str) -> None:
    door = importlib.import_module(package)
    assert [name for name in door.__all__ if not hasattr(door, name)] == []
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'missing'"):
        _ = door.missing


def test_f8_every_command_has_a_case_on_a_terminal() -> None:
    # tests/unit/cli/terminal_cases.py: a new command gets a line there.
    groups = {command[:1] for command in golden.COMMANDS if len(command) > 1}
    leaves = {command for command in golden.COMMANDS if command and command not in groups}
    assert leaves == {*CASES, *SERVERS, *DEMONSTRATION}
