"""Schema check: compares schema `bus` with what the migrations created.

The guarantees of the bus depend on keys and constraints. So a process that finds one missing or
altered is not ready. Additions are accepted: an operator may add an index, and the next release a
column.
"""

import logging
from collections.abc import Collection
from importlib import resources
from time import monotonic
from typing import Any

from govid.bus.storage.sql import load_statements

log = logging.getLogger(__name__)

EXPECTED_SCHEMA: tuple[str, ...] = tuple(
    resources.files("govid.bus.storage").joinpath("schema.txt").read_text("utf-8").splitlines()
)
"""Written by `python -m tests.integration.bus.schema` after a migration of schema `bus`."""

CHECK_PERIOD_SECONDS = 60.0
_SCHEMA = load_statements("govid.bus.storage", "schema.sql")["schema"]


async def describe_schema(connection: Any) -> list[str]:
    """Return the schema `bus` in lines: tables, columns, constraints, indexes, triggers."""
    return [row["line"] for row in await connection.fetch(_SCHEMA)]


def schema_differences(
    live: Collection[str], expected: Collection[str] = EXPECTED_SCHEMA
) -> list[str]:
    """Return the lines of *expected* that are missing in *live* or altered there.

    Additions are not reported.
    """
    found_lines = {_described_object(line): line for line in set(live) - set(expected)}
    return sorted(
        f"altered: {line}; found: {found_lines[_described_object(line)]}"
        if _described_object(line) in found_lines
        else f"missing: {line}"
        for line in set(expected) - set(live)
    )


def _described_object(line: str) -> tuple[str, ...]:
    """Return the kind and the name of what *line* describes."""
    return tuple(line.split(" ", 2)[:2])


class SchemaCheck:
    """Checks the schema at most once a minute."""

    def __init__(self) -> None:
        """Run the first check when `is_intact` is first called."""
        self._checked_at = float("-inf")
        self._found: list[str] = []

    async def is_intact(self, connection: Any) -> bool:
        """Tell whether the schema is what the migrations created; cached for a minute."""
        if monotonic() - self._checked_at > CHECK_PERIOD_SECONDS:
            found = schema_differences(await describe_schema(connection))
            if found and found != self._found:
                log.error("schema.drifted", extra={"differences": found})
            self._found = found
            self._checked_at = monotonic()
        return not self._found
