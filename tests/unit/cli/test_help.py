"""The help of every command is as agreed, and the list of commands needs no imports."""

import importlib
import subprocess
import sys

import pytest

from govid.gateway.cli.group import COMMANDS, Entry
from tests.unit.cli import golden
from tests.unit.cli.terminal_cases import CASES, DEMONSTRATION, SERVERS


def test_the_help_of_all_commands_is_as_agreed() -> None:
    # After a wanted change: python -m tests.unit.cli.golden, and read the difference.
    assert golden.everything() == golden.FILE.read_text("utf-8")


@pytest.mark.parametrize("command", golden.COMMANDS, ids=" ".join)
def test_every_help_shows_an_example(command: tuple[str, ...]) -> None:
    assert "\n Example: govid " in golden.help_of(command)


@pytest.mark.parametrize(("name", "entry"), COMMANDS.items(), ids=COMMANDS)
def test_the_list_tells_of_commands_that_exist(name: str, entry: Entry) -> None:
    command = importlib.import_module(f"govid.gateway.cli.{entry.module}").command
    assert command.name == name


def test_help_imports_no_driver_and_no_framework() -> None:
    script = (
        "import sys\n"
        "from govid.gateway.cli.group import commands\n"
        "try: commands(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'asyncpg', 'sqlalchemy', 'litestar', 'uvicorn', 'aiokafka', 'pydantic'}\n"
        "sys.exit(len(slow & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode
        == 0
    )


def test_f8_every_command_has_a_case_on_a_terminal() -> None:
    # tests/unit/cli/terminal_cases.py: a new command gets a line there.
    groups = {command[:1] for command in golden.COMMANDS if len(command) > 1}
    leaves = {command for command in golden.COMMANDS if command and command not in groups}
    assert leaves == {*CASES, *SERVERS, *DEMONSTRATION}
