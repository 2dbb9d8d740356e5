"""Measures names, files and folders of the source: `python -m tests.architecture.measures`.

Left out of the class names are what other documents fix: tables, components of the OpenAPI and
AsyncAPI documents, and wire types of departments' interfaces.
"""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "govid"
EQUAL_LINES = 10
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+")


class ClassName(NamedTuple):
    """One class of the source."""

    name: str
    file: Path

    @property
    def is_one_word(self) -> bool:
        return len(_WORD.findall(self.name)) == 1


class EqualLines(NamedTuple):
    """Two places that have the same lines."""

    first: str
    second: str
    count: int


def sources() -> list[Path]:
    """Return every file of the source."""
    return sorted(SOURCE.rglob("*.py"))


def class_names() -> list[ClassName]:
    """Return the names that the project chooses itself."""
    return [
        ClassName(node.name, file)
        for file in sources()
        if not _is_fixed_elsewhere(file)
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and not _is_wire_type(file, node)
    ]


def one_word_share(names: list[ClassName]) -> float:
    """Return the share of class names that are a single word."""
    return sum(one.is_one_word for one in names) / len(names)


def ambiguous(names: list[ClassName]) -> dict[str, list[str]]:
    """Return the class names that are used for more than one thing, with their files."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for one in names:
        places[one.name].append(str(one.file.relative_to(SOURCE)))
    return {name: files for name, files in places.items() if len(files) > 1}


def ambiguous_share(names: list[ClassName]) -> float:
    """Return the share of class names that are used for more than one thing."""
    return len(ambiguous(names)) / len({one.name for one in names})


def long_files(limit: int) -> list[str]:
    """Return the files of the source with more than *limit* lines."""
    return [
        f"{file.relative_to(ROOT)}: {lines}"
        for file in sources()
        if (lines := len(file.read_text("utf-8").splitlines())) > limit
    ]


def crowded_folders(limit: int) -> list[str]:
    """Return the folders of the source with more than *limit* files, packages' doors aside."""
    counts = Counter(file.parent for file in sources() if file.name != "__init__.py")
    return [
        f"{folder.relative_to(ROOT)}: {count}" for folder, count in counts.items() if count > limit
    ]


def equal_lines() -> list[EqualLines]:
    """Return each pair of places in the source with ten or more equal lines, imports aside.

    Blank lines, comments and indentation do not count.
    """
    places: defaultdict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    contents = {file: list(_code_lines(file)) for file in sources()}
    for file, lines in contents.items():
        for start in range(len(lines) - EQUAL_LINES + 1):
            window = tuple(text for _, text in lines[start : start + EQUAL_LINES])
            places[window].append((file, start))
    found = []
    for (first, second), starts in _pairs(places).items():
        for start, other in starts:
            if (start - 1, other - 1) in starts:
                continue
            count = 0
            while (start + count, other + count) in starts:
                count += 1
            here, there = contents[first][start][0], contents[second][other][0]
            found.append(
                EqualLines(
                    f"{first.relative_to(ROOT)}:{here}",
                    f"{second.relative_to(ROOT)}:{there}",
                    count + EQUAL_LINES - 1,
                )
            )
    return found


def _pairs(
    places: dict[tuple[str, ...], list[tuple[Path, int]]],
) -> dict[tuple[Path, Path], set[tuple[int, int]]]:
    pairs: defaultdict[tuple[Path, Path], set[tuple[int, int]]] = defaultdict(set)
    for found in places.values():
        for index, (first, start) in enumerate(found):
            for second, other in found[index + 1 :]:
                pairs[first, second].add((start, other))
    return pairs


def _code_lines(file: Path) -> Iterator[tuple[int, str]]:
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_export_list(node):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#") and number not in left_out:
            yield number, stripped


def _is_export_list(node: ast.AST) -> bool:
    """Tell whether *node* lists what a package exports: `__all__`, or a table of lazy imports."""
    if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
        return target.id in {"__all__", "__getattr__"}
    return False


def _is_fixed_elsewhere(file: Path) -> bool:
    parts = file.relative_to(SOURCE).parts
    return file.name in {"models.py", "schemas.py"} or parts[:2] == ("bus", "events")


def _is_wire_type(file: Path, node: ast.ClassDef) -> bool:
    """Tell whether *node* describes a message of a department's interface."""
    parts = file.relative_to(SOURCE).parts
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    return len(parts) > 1 and parts[1] in {"clients", "simulator"} and "Struct" in bases


def main() -> None:
    """Print every measure."""
    names = class_names()
    out = sys.stdout.write
    out(f"{len(sources())} files, {len(names)} class names\n")
    out(f"one word: {one_word_share(names):.1%}\n")
    out("  " + " ".join(sorted({one.name for one in names if one.is_one_word})) + "\n")
    out(f"used for more than one thing: {ambiguous_share(names):.1%}\n")
    for name, files in sorted(ambiguous(names).items()):
        out(f"  {name}: {', '.join(files)}\n")
    for line in (*long_files(500), *crowded_folders(25)):
        out(f"too large: {line}\n")
    for one in equal_lines():
        out(f"{one.count} equal lines: {one.first} and {one.second}\n")


if __name__ == "__main__":
    main()
