"""What the migrations made of schema `bus`, line by line, and whether it is still so.

The guarantees of the bus rest on keys and constraints. One that somebody took away by hand would
be missed only when it is too late, so a process that finds one missing or altered is not ready.
What was added is no fault: an operator's index, or a column of the next release.
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
    """Return what is missing from *live*, or stands there in another form than *expected*.

    What was added is none of this: an operator may add an index, the next release a column.
    """
    others = {_subject(line): line for line in set(live) - set(expected)}
    return sorted(
        f"altered: {line}; found: {others[_subject(line)]}"
        if _subject(line) in others
        else f"missing: {line}"
        for line in set(expected) - set(live)
    )


def _subject(line: str) -> tuple[str, ...]:
    """Return the kind and the name of what *line* describes."""
    return tuple(line.split(" ", 2)[:2])


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
