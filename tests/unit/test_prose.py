"""The prose of the project uses the field's words (CONTRIBUTING.md, "Prose").

Read are docstrings, comments, texts shown to people, documents and the output of `--help`; code in
backticks and identifiers are not prose.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = (
    *("whoever", "nobody", "somebody", "anybody", "who else"),
    *("owe", "owes", "owed", "owing", "debt", "debts"),
    *("say so", "says so", "said so", "told", "stands"),
    *("desk", "desks", "deed", "deeds", "wish", "wishes", "bell", "bells", "ear", "ears"),
    *("house", "houses", "room", "rooms", "becomes of", "became of", "came of", "comes of"),
    *("for good", "good for once", "good for", "strike off", "struck off"),
    *("bury", "buries", "buried", "siege", "sieges", "parcel", "parcels", "shipment", "shipments"),
)
ALLOWED = frozenset({"'Room 2, ground floor', :now, :now)"})
"""Sentences in which a forbidden word is the right one, exactly as they stand."""
_WORDS = re.compile(r"\b(" + "|".join(FORBIDDEN) + r")\b", re.IGNORECASE)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def files() -> list[Path]:
    """Return every file with prose in it."""
    python = [
        file
        for folder in ("src", "tests", "bench", "migrations")
        for file in (ROOT / folder).rglob("*.py")
        if file != Path(__file__)
    ]
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.rglob("src/**/*.sql")]
    others = [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / "tests/unit/cli/help.txt"]
    return sorted([*python, *documents, *others])


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield each text of *file* that people read, with its line."""
    text = file.read_text("utf-8")
    if file.suffix != ".py":
        without_code = _CODE.sub(lambda found: "\n" * found[0].count("\n"), text)
        yield from enumerate(without_code.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(_CODE.sub("", node.value).splitlines()):
                yield node.lineno + offset, line


def private_words(file: Path) -> list[str]:
    """Return where *file* uses a word that a reader from outside could not understand."""
    return sorted(
        f"{file.relative_to(ROOT)}:{line}: {found[0]}"
        for line, text in prose(file)
        for found in _WORDS.finditer(text)
        if text.strip() not in ALLOWED
    )


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "migrations", "docs", ""])
def test_no_private_word_is_used(folder: str) -> None:
    found = [
        one
        for file in files()
        if (file.relative_to(ROOT).parts[0] if file.parent != ROOT else "") == folder
        for one in private_words(file)
    ]
    assert found == []


def test_prose_is_read_and_code_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "example.py"
    file.write_text(
        '"""What is owed."""\n\ndebt = 1  # told\nerror = "Ask `Desk` or nobody."\n', "utf-8"
    )
    assert private_words(file) == [
        "example.py:1: owed",
        "example.py:3: told",
        "example.py:4: nobody",
    ]
    document = tmp_path / "example.md"
    document.write_text("The `debt` of a house.\n\n```\nnobody\n```\n", "utf-8")
    assert private_words(document) == ["example.md:1: house"]
