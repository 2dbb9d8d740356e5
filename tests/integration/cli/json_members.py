"""Checks which members the JSON of each command has: scripts of operators rely on them.

Every document that a test of this folder makes a command print is compared with
`tests/contracts/surface/json_members.json`. To add members on purpose, run the tests in one process
with `ADD_JSON_MEMBERS=1` and read the difference.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from govid.gateway.cli.output import Output

FILE = Path(__file__).parents[2] / "contracts" / "surface" / "json_members.json"
_MEMBER = re.compile(r"[a-zA-Z_]+")


class JsonMembers:
    """The members that were agreed, and those that commands have printed."""

    def __init__(self) -> None:
        """Begin with what was agreed."""
        self.agreed: dict[str, list[str]] = (
            msgspec.json.decode(FILE.read_bytes()) if FILE.exists() else {}
        )
        self.printed: dict[str, set[str]] = {}

    def record(self, value: Any) -> None:
        """Add the members of *value*, which the running command prints."""
        context = click.get_current_context(silent=True)
        command = " ".join(context.command_path.split()[1:]) if context else ""
        document = msgspec.json.decode(msgspec.json.encode(value))
        self.printed.setdefault(command, set()).update(members(document))

    def unexpected(self) -> list[str]:
        """Return the members that were printed and not agreed; add them if that is asked for."""
        new = {
            command: found - set(self.agreed.get(command, ()))
            for command, found in self.printed.items()
        }
        if os.environ.get("ADD_JSON_MEMBERS"):
            for command, found in new.items():
                self.agreed[command] = sorted({*self.agreed.get(command, ()), *found})
            text = msgspec.json.encode(dict(sorted(self.agreed.items())))
            FILE.write_bytes(msgspec.json.format(text, indent=1) + b"\n")
            return []
        return [f"{command}: {one}" for command, found in new.items() for one in sorted(found)]


def members(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path and the type of everything in *value*; keys that are data count as `*`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = key if _MEMBER.fullmatch(key) else "*"
            yield from members(inner, f"{path}/{name}")
    elif isinstance(value, list):
        yield f"{path}[]"
        for inner in value:
            yield from members(inner, f"{path}[]")
    else:
        yield f"{path}: {type(value).__name__}"


def recording(found: JsonMembers) -> dict[str, Any]:
    """Return `Output`'s methods that print JSON, made to record in *found* what they print."""
    document, line = Output.print_document, Output.print_item

    def recorded_document(self: Output, value: Any) -> None:
        found.record(value)
        document(self, value)

    def recorded_line(self: Output, value: Any, text: str) -> None:
        if self.as_json:
            found.record(value)
        line(self, value, text)

    return {"print_document": recorded_document, "print_item": recorded_line}
