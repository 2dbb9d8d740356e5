"""Daily partitions of one table: a day of rows comes as a table, and leaves as one.

Nothing here may make traffic wait. Every lock is asked for with a short timeout, and whoever does
not get it tries again later: the default partition takes whatever has no other place, so a
partition that comes late costs nobody an event.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from govid.bus.ids import first_uuid7_of, moment_of
from govid.bus.sql import read

QUERIES = read("govid.bus", "retention.sql")

# Rows are inserted and never changed, so that a fifth of a table may never be dead: vacuum has to
# come for the visibility map, and analyze soon after midnight.
STORAGE = "autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02"
LOCKED_MS = 1_000
"""How long a statement may take while everybody else is locked out."""

_BOUNDS = re.compile(r"FOR VALUES FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")
_LOWEST = UUID(int=0)

Added = Literal["added", "occupied"]


class Span(NamedTuple):
    """A range of ids: the lower bound belongs to it, the upper does not."""

    lower: UUID
    upper: UUID

    @classmethod
    def of(cls, day: date) -> "Span":
        """Return the ids of *day*, in UTC."""
        return cls(_start(day), _start(day + timedelta(days=1)))


class Partition(msgspec.Struct, frozen=True):
    """One partition. Without a span it is the default one."""

    name: str
    span: Span | None

    @property
    def ends_at(self) -> datetime | None:
        """The moment from which on no row of it was made; None if there is no such moment."""
        return None if self.span is None else moment_of(self.span.upper)


class Partitions:
    """The partitions of one table of schema `bus`, through one connection."""

    def __init__(self, connection: Any, table: str, column: str) -> None:
        """Serve *table*, which is partitioned by the version 7 UUIDs in *column*."""
        self._connection = connection
        self._table = table
        self._column = column
        self._default = f"{table}_default"
        self._outside = f"{table}_outside"

    async def all(self) -> list[Partition]:
        """Return every partition there is."""
        rows = await self._connection.fetch(QUERIES["partitions"], self._table)
        return [Partition(row["name"], _span(row["bounds"])) for row in rows]

    async def add(self, day: date, *, current: bool) -> Added:
        """Create the partition of *day*, unless its rows have begun to go elsewhere.

        *current* says that rows of that day are being written at this moment.

        Raises:
            asyncpg.LockNotAvailableError: too much is going on.
        """
        span = Span.of(day)
        try:
            if await self._newest() is None:
                await self._attach(day, span, alone=current)
            elif current or await self._has_rows_of(span):
                return "occupied"
            else:
                await self._attach_beside_rows(day, span)
        except asyncpg.CheckViolationError:
            return "occupied"
        return "added"

    async def clear(self) -> None:
        """Remove what an interrupted `add` may have left behind."""
        await self._connection.execute(
            f"ALTER TABLE bus.{self._default} DROP CONSTRAINT IF EXISTS {self._outside}"
        )

    async def drop(self, partition: Partition) -> bool:
        """Drop *partition* if nobody needs its rows any more; tell whether that was so.

        Raises:
            asyncpg.LockNotAvailableError: too much is going on.
        """
        span = partition.span
        if span is None or await self._needed(span):
            return False
        # Asked again under the lock: a replay that had read these events has ended by then.
        async with self._alone_with(f"bus.{self._table}", lambda: self._needed(span)) as free:
            if free:
                await self._connection.execute(f"DROP TABLE bus.{partition.name}")
            return free

    async def empty_default(self, until: UUID) -> bool:
        """Empty the default partition if all of it is older than *until* and nobody needs it.

        Raises:
            asyncpg.LockNotAvailableError: too much is going on.
        """

        async def wanted() -> bool:
            newest = await self._newest()
            return newest is None or newest >= until or await self._needed(Span(_LOWEST, until))

        if await wanted():
            return False
        async with self._alone_with(f"bus.{self._default}", wanted) as free:
            if free:
                await self._connection.execute(f"TRUNCATE bus.{self._default}")
            return free

    async def _attach_beside_rows(self, day: date, span: Span) -> None:
        """Attach while the default partition holds rows, none of them of *day*.

        PostgreSQL has to be sure of that. Looking takes a while, so it looks before the attaching,
        for which others have to wait.
        """
        default = f"ALTER TABLE bus.{self._default}"
        try:
            await self._connection.execute(
                f"{default} ADD CONSTRAINT {self._outside} CHECK"
                f" ({self._column} < '{span.lower}' OR {self._column} >= '{span.upper}') NOT VALID"
            )
            await self._connection.execute(f"{default} VALIDATE CONSTRAINT {self._outside}")
            await self._attach(day, span, alone=False)
        finally:
            # Left behind, it would one day refuse what has no other place.
            await self.clear()

    async def _attach(self, day: date, span: Span, *, alone: bool) -> None:
        name = f"bus.{self._table}_{day:%Y%m%d}"
        async with self._connection.transaction():
            if alone:
                # Whoever has chosen the default partition for a row must have put it there.
                await self._connection.execute(
                    f"LOCK TABLE bus.{self._table} IN SHARE ROW EXCLUSIVE MODE"
                )
            await self._connection.execute(
                f"CREATE TABLE {name} (LIKE bus.{self._table}"
                f" INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH ({STORAGE})"
            )
            if self._table == "event":
                # As in migration 0026: a trigger of the parent does not guard a day by itself.
                await self._connection.execute(
                    f"CREATE TRIGGER event_is_not_truncated BEFORE TRUNCATE ON {name}"
                    " FOR EACH STATEMENT EXECUTE FUNCTION bus.refuse_change()"
                )
            # Not `PARTITION OF`, which would lock everybody out of the whole table.
            await self._connection.execute(
                f"ALTER TABLE bus.{self._table} ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{span.lower}') TO ('{span.upper}')"
            )

    @asynccontextmanager
    async def _alone_with(
        self, table: str, needed: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bool]:
        """Lock *table* for the length of the block; tell whether it is not *needed* even then."""
        async with self._connection.transaction():
            # Whoever waits meanwhile waits no longer than this.
            await self._connection.execute(f"SET LOCAL statement_timeout = {LOCKED_MS}")
            await self._connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield not await needed()

    async def _needed(self, span: Span) -> bool:
        return bool(await self._connection.fetchval(QUERIES[f"{self._table}_needed"], *span))

    async def _newest(self) -> UUID | None:
        """Return the highest id in the default partition."""
        newest: UUID | None = await self._connection.fetchval(
            f"SELECT {self._column} FROM bus.{self._default}"  # noqa: S608 - constants
            f" ORDER BY {self._column} DESC LIMIT 1"
        )
        return newest

    async def _has_rows_of(self, span: Span) -> bool:
        return bool(
            await self._connection.fetchval(
                f"SELECT EXISTS (SELECT FROM bus.{self._default}"  # noqa: S608 - constants
                f" WHERE {self._column} >= $1 AND {self._column} < $2)",
                *span,
            )
        )


def _start(day: date) -> UUID:
    return first_uuid7_of(datetime.combine(day, time(), tzinfo=UTC))


def _span(bounds: str) -> Span | None:
    found = _BOUNDS.fullmatch(bounds)
    return None if found is None else Span(UUID(found[1]), UUID(found[2]))
