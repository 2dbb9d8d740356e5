"""What is released is whole: the wheel in a clean environment can migrate and serve."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import govid

ROOT = Path(__file__).parents[2]

# Builds a wheel and fills a virtual environment: about half a minute with a near package index.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    [built] = folder.glob("govid-*.whl")
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the executables' folder of an environment that holds the wheel, and no dev extra."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=True)
    _pip(folder / "bin/python", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    return folder / "bin"


def test_the_wheel_holds_what_is_not_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    migrations = {
        f"govid/_migrations/versions/{script.name}"
        for script in (ROOT / "migrations/versions").glob("*.py")
    }
    assert names >= migrations | {
        "govid/_migrations/env.py",
        "govid/bus/queries.sql",
        "govid/py.typed",
    }


def test_the_command_works_without_the_dev_extra(clean: Path, tmp_path: Path) -> None:
    finished = subprocess.run(
        [clean / "govid", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert finished.stdout.split()[-1] == govid.__version__


def test_the_server_can_be_built_without_the_dev_extra(clean: Path, tmp_path: Path) -> None:
    imports = "import govid.gateway.app, govid.gateway.migrations as m; print(m.head())"
    finished = subprocess.run(
        [clean / "python", "-W", "error::ImportWarning", "-c", imports],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    newest = max(path.name for path in (ROOT / "migrations/versions").glob("*.py"))
    assert finished.stdout.strip() == newest.partition("_")[0]


def _pip(python: Path | str, *arguments: object) -> None:
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        check=True,
        stdout=sys.stderr,
    )
