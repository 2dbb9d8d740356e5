"""Loads named SQL statements from `.sql` files."""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_statements(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Return the statements of the `.sql` *file* in *package*, by name."""
    text = resources.files(package).joinpath(file).read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
