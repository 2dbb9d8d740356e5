"""constraints.txt pins, by version only, what production does not install (`.ci/pins`)."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
LOCKS = ("requirements.lock", "requirements-build.lock")
LOCKED = {lock: (ROOT / lock).read_text("utf-8") for lock in LOCKS}
PIN = re.compile(r"([\w.-]+)==[\w.!+]+(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, BUILD = PYPROJECT["project"], PYPROJECT["build-system"]


def _pin(name: str) -> str:
    """Return the lines of *name* in the lock of production."""
    return next(f.group() for f in PIN.finditer(LOCKED["requirements.lock"]) if f[1] == name)


def test_each_line_is_one_package_at_one_version() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []


def test_the_lines_are_sorted_and_no_package_is_named_twice() -> None:
    assert sorted(LINES, key=str.upper) == LINES
    assert len({_name(line) for line in LINES}) == len(LINES)


def test_every_package_that_development_names_is_pinned() -> None:
    named = {_name(each) for each in PROJECT["optional-dependencies"]["dev"]}
    assert named - {_name(line) for line in LINES} - _locked("requirements.lock") == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_f6_each_package_has_one_version_and_the_hashes_of_its_files(lock: str) -> None:
    pins = [found.group() for found in PIN.finditer(LOCKED[lock])]
    assert "".join(pins) == LOCKED[lock]
    assert len({_name(pin) for pin in pins}) == len(pins)


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-build.lock", BUILD["requires"]),
    ],
)
def test_f6_every_package_that_is_named_is_locked(lock: str, wanted: list[str]) -> None:
    assert {_name(each) for each in wanted} - _locked(lock) == set()


def test_f6_production_and_development_have_pins_of_their_own() -> None:
    assert _locked("requirements.lock") & {_name(line) for line in LINES} == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"idna==3.20 --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES"),
        ("idna==3.20", "Hashes are required"),
        (_pin("anyio"), "must have their versions pinned"),
    ],
    ids=["another file", "no hash", "what a package needs"],
)
def test_f6_what_the_lock_does_not_know_is_not_installed(
    line: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "requirements.lock").write_text(f"{line}\n", "utf-8")
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--require-hashes"),
            *("--requirement", "requirements.lock"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, why in ran.stderr) == (1, True)


DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        (DIGEST, 0),
        ("", 1),
        ("latest", 1),
        ("3.11.14-slim-bookworm", 1),
        (DIGEST.upper(), 1),
        (DIGEST[:-1], 1),
        (f"{DIGEST}0", 1),
        (f"sha1:{'0a' * 20}", 1),
        (f"python@{DIGEST}", 1),
        (f"{DIGEST}\n", 1),
    ],
)
def test_f6_a_release_names_its_base_image_by_digest(digest: str, code: int) -> None:
    ran = subprocess.run(
        [ROOT / ".ci/check-release", digest], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, bool(ran.stderr)) == (code, bool(code))


def _locked(lock: str) -> set[str]:
    return {_name(found[1]) for found in PIN.finditer(LOCKED[lock])}


def _name(requirement: str) -> str:
    return re.split(r"[\[=<>!~; ]", requirement)[0].lower().replace("_", "-")
