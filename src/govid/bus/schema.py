"""What the migrations made of schema `bus`, line by line, and whether it is still so.

The guarantees of the bus rest on keys and constraints. One that somebody took away by hand would
be missed only when it is too late, so a process that finds one missing is not ready. What an
operator may well add, an index or a table of their own, is no fault.
"""

import logging
from collections.abc import Collection
from importlib import resources
from time import monotonic
from typing import Any

from govid.bus.sql import read

log = logging.getLogger(__name__)

EXPECTED: tuple[str, ...] = tuple(
    resources.files("govid.bus").joinpath("schema.txt").read_text("utf-8").splitlines()
)
"""Written by `python -m tests.integration.bus.schema` after a migration of schema `bus`."""

PERIOD_SECONDS = 60.0
_SCHEMA = read("govid.bus", "schema.sql")["schema"]


async def describe(connection: Any) -> list[str]:
    """Return the schema that *connection* sees: tables, columns, constraints, indexes, triggers."""
    return [row["line"] for row in await connection.fetch(_SCHEMA)]


def differences(live: Collection[str], expected: Collection[str] = EXPECTED) -> list[str]:
    """Return what is not as *expected*: what is missing, and what stands in its way."""
    tables = {_table(line) for line in expected}
    missing = set(expected) - set(live)
    added = {
        line
        for line in set(live) - set(expected)
        if _table(line) in tables and not line.startswith("index ")
    }
    return sorted(
        [f"missing: {line}" for line in missing] + [f"unexpected: {line}" for line in added]
    )


def _table(line: str) -> str:
    """Return the table that *line* tells about: each says its kind, and then the name."""
    return line.split(" ", 2)[1].partition(".")[0]


class SchemaWatch:
    """Looks at the schema now and then."""

    def __init__(self) -> None:
        """Look for the first time when first asked."""
        self._looked_at = float("-inf")
        self._found: list[str] = []

    async def sound(self, connection: Any) -> bool:
        """Tell whether the schema is what the migrations made; believed for a minute."""
        if monotonic() - self._looked_at > PERIOD_SECONDS:
            found = differences(await describe(connection))
            if found and found != self._found:
                log.error("schema.drifted", extra={"differences": found})
            self._found = found
            self._looked_at = monotonic()
        return not self._found
