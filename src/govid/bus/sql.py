"""Reads named statements from `queries.sql`, so that SQL stands in a file of SQL."""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def _read() -> dict[str, str]:
    text = resources.files("govid.bus").joinpath("queries.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


QUERIES = _read()
"""The statements of `queries.sql`, by name."""
