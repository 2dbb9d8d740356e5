"""Manages the daily partitions of one table: adds a partition before its day, drops it by age.

Traffic must not wait for this. Every lock has a short timeout, and the caller retries later. The
default partition takes all rows without another partition, so a late partition loses no event.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from govid.bus.shared.ids import first_uuid7_at, uuid7_timestamp
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.storage", "retention.sql")

# Rows are inserted and never changed, so the share of dead rows never triggers autovacuum. Vacuum
# has to run for the visibility map, and analyze soon after midnight.
STORAGE = "autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02"
LOCKED_MS = 1_000
"""How long a statement may take while it holds an exclusive lock."""

_BOUNDS = re.compile(r"FOR VALUES FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")
_LOWEST = UUID(int=0)

AddResult = Literal["added", "occupied"]


class PartitionRange(NamedTuple):
    """A range of ids: the lower bound is inclusive, the upper exclusive."""

    lower: UUID
    upper: UUID

    @classmethod
    def for_day(cls, day: date) -> "PartitionRange":
        """Return the ids of *day*, in UTC."""
        return cls(_first_id(day), _first_id(day + timedelta(days=1)))


class TablePartition(msgspec.Struct, frozen=True):
    """One partition of a table. The default partition has no range."""

    name: str
    id_range: PartitionRange | None

    @property
    def ends_at(self) -> datetime | None:
        """The time after which no id of the partition was created; None for the default one."""
        return None if self.id_range is None else uuid7_timestamp(self.id_range.upper)


class PartitionManager:
    """The partitions of one table of schema `bus`, through one connection."""

    def __init__(self, connection: Any, table: str, column: str) -> None:
        """Manage *table*, which is partitioned by the version 7 UUIDs in *column*."""
        self._connection = connection
        self._table = table
        self._column = column
        self._default = f"{table}_default"
        self._outside_constraint = f"{table}_outside"

    async def fetch_all(self) -> list[TablePartition]:
        """Return all partitions of the table."""
        rows = await self._connection.fetch(QUERIES["partitions"], self._table)
        return [TablePartition(row["name"], _parse_bounds(row["bounds"])) for row in rows]

    async def add_day(self, day: date, *, current: bool) -> AddResult:
        """Create the partition of *day*, unless the default partition already has rows of it.

        *current* says that rows of that day are being written now.

        Raises:
            asyncpg.LockNotAvailableError: a lock was not available in time.
        """
        span = PartitionRange.for_day(day)
        try:
            if await self._newest_in_default() is None:
                await self._attach(day, span, exclusive=current)
            elif current or await self._default_has_rows_in(span):
                return "occupied"
            else:
                await self._attach_beside_rows(day, span)
        except asyncpg.CheckViolationError:
            return "occupied"
        return "added"

    async def remove_leftover_constraint(self) -> None:
        """Remove the constraint that an interrupted `add_day` may have left."""
        await self._connection.execute(
            f"ALTER TABLE bus.{self._default} DROP CONSTRAINT IF EXISTS {self._outside_constraint}"
        )

    async def drop(self, partition: TablePartition) -> bool:
        """Drop *partition* unless its rows are still needed; return whether it was dropped.

        Raises:
            asyncpg.LockNotAvailableError: a lock was not available in time.
        """
        span = partition.id_range
        if span is None or await self._is_needed(span):
            return False
        # Checked again under the lock: a replay that was reading these events has ended by then.
        async with self._exclusive_lock(
            f"bus.{self._table}", lambda: self._is_needed(span)
        ) as is_free:
            if is_free:
                await self._connection.execute(f"DROP TABLE bus.{partition.name}")
            return is_free

    async def truncate_default(self, until: UUID) -> bool:
        """Truncate the default partition if all its rows are older than *until* and not needed.

        Raises:
            asyncpg.LockNotAvailableError: a lock was not available in time.
        """

        async def wanted() -> bool:
            newest = await self._newest_in_default()
            return (
                newest is None
                or newest >= until
                or await self._is_needed(PartitionRange(_LOWEST, until))
            )

        if await wanted():
            return False
        async with self._exclusive_lock(f"bus.{self._default}", wanted) as is_free:
            if is_free:
                await self._connection.execute(f"TRUNCATE bus.{self._default}")
            return is_free

    async def _attach_beside_rows(self, day: date, span: PartitionRange) -> None:
        """Attach while the default partition has rows, none of them of *day*.

        PostgreSQL has to verify that by a scan. A constraint is validated before, so that no scan
        runs while the attaching holds its lock.
        """
        default = f"ALTER TABLE bus.{self._default}"
        try:
            await self._connection.execute(
                f"{default} ADD CONSTRAINT {self._outside_constraint} CHECK"
                f" ({self._column} < '{span.lower}' OR {self._column} >= '{span.upper}') NOT VALID"
            )
            await self._connection.execute(
                f"{default} VALIDATE CONSTRAINT {self._outside_constraint}"
            )
            await self._attach(day, span, exclusive=False)
        finally:
            # If it stayed, the default partition would one day refuse rows of that day.
            await self.remove_leftover_constraint()

    async def _attach(self, day: date, span: PartitionRange, *, exclusive: bool) -> None:
        name = f"bus.{self._table}_{day:%Y%m%d}"
        async with self._connection.transaction():
            if exclusive:
                # A transaction that has routed a row to the default partition must have stored it.
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
            # Not `PARTITION OF`, which would take an exclusive lock on the whole table.
            await self._connection.execute(
                f"ALTER TABLE bus.{self._table} ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{span.lower}') TO ('{span.upper}')"
            )

    @asynccontextmanager
    async def _exclusive_lock(
        self, table: str, is_needed: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bool]:
        """Lock *table* exclusively during the block; yield False if *is_needed* returns true."""
        async with self._connection.transaction():
            # Transactions that wait for this lock wait no longer than this.
            await self._connection.execute(f"SET LOCAL statement_timeout = {LOCKED_MS}")
            await self._connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield not await is_needed()

    async def _is_needed(self, span: PartitionRange) -> bool:
        return bool(await self._connection.fetchval(QUERIES[f"{self._table}_needed"], *span))

    async def _newest_in_default(self) -> UUID | None:
        """Return the highest id in the default partition."""
        newest: UUID | None = await self._connection.fetchval(
            f"SELECT {self._column} FROM bus.{self._default}"  # noqa: S608 - constants
            f" ORDER BY {self._column} DESC LIMIT 1"
        )
        return newest

    async def _default_has_rows_in(self, span: PartitionRange) -> bool:
        return bool(
            await self._connection.fetchval(
                f"SELECT EXISTS (SELECT FROM bus.{self._default}"  # noqa: S608 - constants
                f" WHERE {self._column} >= $1 AND {self._column} < $2)",
                *span,
            )
        )


def _first_id(day: date) -> UUID:
    return first_uuid7_at(datetime.combine(day, time(), tzinfo=UTC))


def _parse_bounds(bounds: str) -> PartitionRange | None:
    found = _BOUNDS.fullmatch(bounds)
    return None if found is None else PartitionRange(UUID(found[1]), UUID(found[2]))
