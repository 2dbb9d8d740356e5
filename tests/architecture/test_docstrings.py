"""Docstrings name parameters and classes that exist: a rename must not leave them behind."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.measures import ROOT, sources

_PARAMETER = re.compile(r"(?<![\w*`/])\*([a-z_][a-z0-9_]*)\*(?![\w*])")
_RAISED = re.compile(r"^ {4,}([A-Z]\w+)(?: or ([A-Z]\w+))?: ", re.MULTILINE)
_BUILT_IN = {
    "ValueError",
    "OSError",
    "TimeoutError",
    "RuntimeError",
    "KeyError",
    "LookupError",
    "Exception",
    "OverflowError",
}


def test_parameters_in_docstrings_exist() -> None:
    stale = [
        f"{place}: *{name}*"
        for place, node, text, around in _docstrings()
        for name in _PARAMETER.findall(text)
        if name not in _parameters(node) | around
    ]
    assert stale == []


def test_errors_in_docstrings_exist() -> None:
    known = {
        name
        for file in sources()
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in _bound(node)
    }
    stale = [
        f"{place}: {name}"
        for place, _, text, _ in _docstrings()
        if "Raises:" in text
        for pair in _RAISED.findall(text.partition("Raises:")[2])
        for name in pair
        if name and name not in known | _BUILT_IN
    ]
    assert stale == []


def _docstrings() -> Iterator[tuple[str, ast.AST, str, set[str]]]:
    """Yield each docstring of the source with its place, its node and the names around it."""
    for file in sources():
        yield from _below(ast.parse(file.read_text("utf-8")), str(file.relative_to(ROOT)), set())


def _below(
    node: ast.AST, file: str, around: set[str]
) -> Iterator[tuple[str, ast.AST, str, set[str]]]:
    for child in ast.iter_child_nodes(node):
        names = around
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if text := ast.get_docstring(child):
                yield f"{file}:{child.lineno}", child, text, around
            names = around | _parameters(child)
        yield from _below(child, file, names)


def _parameters(node: ast.AST) -> set[str]:
    """Return the parameters of a function, or the fields and constructor parameters of a class."""
    if isinstance(node, ast.ClassDef):
        return {
            name
            for part in node.body
            for name in (
                _parameters(part)
                if isinstance(part, ast.FunctionDef) and part.name == "__init__"
                else {part.target.id}
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
                else set()
            )
        }
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    own = node.args
    listed = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
    return {one.arg for one in listed if one}


def _bound(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.ImportFrom):
        return {one.asname or one.name for one in node.names}
    return set()
