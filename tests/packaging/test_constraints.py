"""constraints.txt pins every package, by version only (`.ci/pins` writes it)."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_each_line_is_one_package_at_one_version() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []


def test_the_lines_are_sorted_and_no_package_is_named_twice() -> None:
    assert sorted(LINES, key=str.upper) == LINES
    assert len({_name(line) for line in LINES}) == len(LINES)


def test_every_package_that_the_project_names_is_pinned() -> None:
    named = {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]}
    assert {_name(each) for each in named} - {_name(line) for line in LINES} == set()


def _name(requirement: str) -> str:
    return re.split(r"[\[=<>!~; ]", requirement)[0].lower().replace("_", "-")
