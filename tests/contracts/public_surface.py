"""Collects what the outside can see of govid, without the texts that may be reworded.

`python -m tests.contracts.public_surface` writes `surface/public_surface.json` anew; `--diff FILE`
prints what differs from another collection. `test_public_surface.py` compares. `summary`,
`description`, `title`, `detail` and HELP texts are left out; clients rely on everything else.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from govid.bus import asyncapi
from govid.gateway.app import create_app
from govid.gateway.cli import errors
from govid.gateway.cli.commands import commands
from govid.gateway.endpoints import openapi
from govid.gateway.settings import load_from_environment, render_example

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "govid"
FILE = Path(__file__).parent / "surface" / "public_surface.json"
PROSE = frozenset({"summary", "description", "title", "detail"})
METRICS = {
    "Counter", "Gauge", "Histogram", "Summary", "Info",
    "CounterMetricFamily", "GaugeMetricFamily", "HistogramMetricFamily",
}  # fmt: skip
LOADERS = {"import_on_use", "load_statements", "files"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_IDENTIFIER = re.compile(r"[A-Za-z][\w.:/{}%-]*[\w}]")
Json = Any


def surface() -> dict[str, Json]:
    """Return everything that is promised, by kind."""
    return {
        "openapi": stripped(_openapi()),
        "asyncapi": stripped(msgspec.json.decode(asyncapi.render_document())),
        "commands": dict(_commands(commands, ("govid",))),
        "exit_codes": sorted(_exit_codes()),
        "settings": sorted(_settings()),
        "schema": _schema(),
        **_from_sources(),
    }


def stripped(value: Json) -> Json:
    """Return *value* without texts that are only words."""
    if isinstance(value, dict):
        return {
            key: stripped(inner)
            for key, inner in value.items()
            if not (key in PROSE and isinstance(inner, str))
        }
    return [stripped(inner) for inner in value] if isinstance(value, list) else value


def differences(old: Json, new: Json, path: str = "") -> Iterator[str]:
    """Yield each place in which *new* is not *old*."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            where = f"{path}/{key}"
            if key not in new:
                yield f"{where} is gone"
            elif key not in old:
                yield f"{where} is new"
            else:
                yield from differences(old[key], new[key], where)
    elif isinstance(old, list) and isinstance(new, list) and _is_set(old) and _is_set(new):
        yield from (f"{path}: {one!r} is gone" for one in old if one not in new)
        yield from (f"{path}: {one!r} is new" for one in new if one not in old)
    elif old != new:
        yield f"{path}: {old!r} has become {new!r}"


def _is_set(values: list[Json]) -> bool:
    return all(isinstance(one, str) for one in values)


def _openapi() -> Json:
    settings = load_from_environment(
        {
            "GOVID_DATABASE_URL": "postgresql://x@127.0.0.1:1/none",
            "GOVID_PSEUDONYM_KEY": "k" * 43,
        },
        demonstration=True,
        env_file=None,
    )
    return openapi.build_document(create_app(settings)._app)


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, Json]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        assert command is not None
        yield " ".join((*path, name)), [_parameter(one) for one in command.params]
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


def _parameter(parameter: click.Parameter) -> Json:
    kind = parameter.type
    return {
        "names": [*parameter.opts, *parameter.secondary_opts],
        "choices": list(kind.choices) if isinstance(kind, click.Choice) else None,
        "required": parameter.required,
        "multiple": parameter.multiple,
        "count": parameter.nargs,
    }


def _exit_codes() -> set[int]:
    return {int(code) for code in errors.ExitCode}


def _settings() -> Iterator[str]:
    for line in render_example().splitlines():
        if found := re.match(r"#? ?([A-Z][A-Z0-9_]+=.*)", line):
            yield found[1]


def _schema() -> list[str]:
    (file,) = SOURCE.rglob("schema.txt")
    return file.read_text("utf-8").splitlines()


def _from_sources() -> dict[str, Json]:
    metrics: dict[str, list[str]] = {}
    events: dict[str, set[str]] = {}
    names: set[str] = set()
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        left_out = set(_left_out(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                _add_metric(node, metrics)
                _add_log_event(node, events)
            elif isinstance(node, ast.Constant) and id(node) not in left_out:
                value = node.value
                if isinstance(value, str) and _is_promise(value):
                    names.add(value)
    return {
        "metrics": metrics,
        "log_events": {name: sorted(members) for name, members in sorted(events.items())},
        "names": sorted(names),
    }


def _is_promise(value: str) -> bool:
    return bool(_IDENTIFIER.fullmatch(value)) and not value.startswith("govid.")


def _left_out(tree: ast.Module) -> Iterator[int]:
    """Yield the strings that are no promise: module names, exports, names of SQL statements."""
    for node in ast.walk(tree):
        private: list[ast.AST] = []
        if (
            isinstance(node, ast.Assign)
            and any(
                isinstance(target, ast.Name) and target.id in {"__all__", "__slots__"}
                for target in node.targets
            )
        ) or (isinstance(node, ast.AnnAssign) and _name(node.target) == "COMMANDS"):
            private = [node]
        elif isinstance(node, ast.Subscript):
            if isinstance(node.value, ast.Name) and node.value.id.isupper():
                private = [node.slice]
            elif isinstance(node.value, ast.Call) and _name(node.value.func) == "load_statements":
                private = [node]
        elif isinstance(node, ast.Call) and _name(node.func) in {
            "import_on_use",
            "load_statements",
            "files",
        }:
            private = [node]
        elif isinstance(node, ast.AnnAssign | ast.arg) and node.annotation:
            private = [node.annotation]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            private = [node.returns]
        for part in private:
            yield from (id(one) for one in ast.walk(part))


def _name(node: ast.expr) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def _texts(node: ast.AST | None) -> list[str]:
    if node is None:
        return []
    return [
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def _add_metric(call: ast.Call, metrics: dict[str, list[str]]) -> None:
    if _name(call.func) in METRICS and call.args and (found := _texts(call.args[0])):
        labels = [
            keyword.value for keyword in call.keywords if keyword.arg in {"labelnames", "labels"}
        ]
        third = call.args[2] if len(call.args) > 2 else next(iter(labels), None)
        metrics[found[0]] = _texts(third)


def _add_log_event(call: ast.Call, events: dict[str, set[str]]) -> None:
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS):
        return
    for argument in call.args[:2]:
        for text in _texts(argument):
            if re.fullmatch(r"[a-z_]+(\.[a-z_%]+)+", text):
                members = events.setdefault(text, set())
                for keyword in call.keywords:
                    if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                        members.update(text for key in keyword.value.keys for text in _texts(key))


def main() -> None:
    """Write the collection, or print what has changed since another."""
    if "--diff" in sys.argv:
        old = msgspec.json.decode(Path(sys.argv[-1]).read_bytes())
        sys.stdout.writelines(f"{line}\n" for line in differences(old, _as_json(surface())))
    else:
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(surface()), indent=1) + b"\n")


def _as_json(value: Json) -> Json:
    return msgspec.json.decode(msgspec.json.encode(value))


if __name__ == "__main__":
    main()
