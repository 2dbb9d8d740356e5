"""ARCHITECTURE.md names files and symbols that exist, and its terms are found where it says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.measures import ROOT, SOURCE

DOCUMENT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the first table below *heading*, without its head."""
    section = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = re.search(r"^(?:\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def files(cell: str) -> list[Path]:
    """Return the files that *cell* names; a name without a folder is beside the one before it."""
    folder = SOURCE
    found = []
    for name in re.findall(r"`([^`]+)`", cell):
        path = SOURCE / name if "/" in name else folder / name
        found.extend(sorted(path.parent.glob(path.name)) or [path])
        folder = path.parent
    return found


GLOSSARY = [(row[0], files(row[2])) for row in rows("Glossary") if files(row[2])]
PLACES = [(row[0], files(row[1]), re.findall(r"`(\w+)`", row[2])) for row in rows("Where is ...?")]


@pytest.mark.parametrize(("term", "places"), GLOSSARY, ids=lambda value: str(value)[:30])
def test_a_term_is_found_where_the_glossary_says(term: str, places: list[Path]) -> None:
    said = " ".join(_searchable(place) for place in _python(places))
    missing = [one for one in re.sub(r"\(.*\)", "", term).split(", ") if _stem(one) not in said]
    assert missing == []


@pytest.mark.parametrize(("what", "places", "symbols"), PLACES, ids=lambda value: str(value)[:30])
def test_a_mechanism_is_where_the_document_says(
    what: str, places: list[Path], symbols: list[str]
) -> None:
    text = "".join(place.read_text("utf-8") for place in places)
    defined = set(
        re.findall(r"^ *(?:class|(?:async )?def) (\w+)|^(\w+)(?:: [^=]+)? = ", text, re.MULTILINE)
    )
    names = {name for pair in defined for name in pair}
    assert [one for one in symbols if one not in names] == [], what


def _python(places: list[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _searchable(file: Path) -> str:
    """Return the names of *file* as words, and the first lines of its docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    parts = [str(file.relative_to(SOURCE))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            parts.append(getattr(node, "name", ""))
            parts.append((ast.get_docstring(node) or "").partition("\n\n")[0])
    return " ".join(word.lower() for part in parts for word in _WORD.findall(part))


def _stem(term: str) -> str:
    return " ".join(word.lower() for word in _WORD.findall(term)).rstrip("s")
