"""Manages the daily partitions of one table: adds a partition before its day, drops it by age.

Traffic must not wait for this. Every lock has a short timeout, and the caller retries later. The
default partition takes all rows without another partition, so a late partition loses no event.

The work is done by functions of the database that run with the rights of the tables' owner, so the
role of govid needs no ownership (ADR-0039). They wait 200 ms for a lock, and refuse to remove what
is younger than the retention that the database stores, or still needed.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from govid.bus.shared.ids import first_uuid7_at, uuid7_timestamp
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.storage", "retention.sql")

LOCKED_MS = 1_000
"""How long a statement may take while it holds an exclusive lock."""

_BOUNDS = re.compile(r"FOR VALUES FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")
_LOWEST = UUID(int=0)

AddResult = Literal["added", "occupied", "present"]


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

    def __init__(self, connection: Any, table: str, statement_ms: int) -> None:
        """Manage *table*, which is partitioned by version 7 UUIDs.

        *statement_ms* is the time limit of statements on *connection*; a statement that locks a
        table exclusively has a shorter one.
        """
        self._connection = connection
        self._table = table
        self._statement_ms = statement_ms

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
        result = await self._call("attach_day", day, current)
        if result != "unproved":
            return result  # type: ignore[no-any-return]
        # The default partition has rows of other days. PostgreSQL has to verify by a scan that none
        # is of this day. A constraint is validated before, so that no scan runs while the attaching
        # holds its lock.
        try:
            await self._call("exclude_day", day)
            await self._call("validate_exclusion")
            return await self._call("attach_day", day, False)  # type: ignore[no-any-return]
        except asyncpg.CheckViolationError:
            return "occupied"
        finally:
            # If it stayed, the default partition would one day refuse rows of that day.
            await self.remove_leftover_constraint()

    async def remove_leftover_constraint(self) -> None:
        """Remove the constraint that an interrupted `add_day` may have left."""
        await self._call("end_exclusion")

    async def drop(self, partition: TablePartition, ended_before: datetime) -> bool:
        """Drop *partition* if its day ended before *ended_before* and none of its rows is needed.

        Return whether it was dropped. The function checks both again under its lock.

        Raises:
            asyncpg.LockNotAvailableError: a lock was not available in time.
        """
        span = partition.id_range
        if span is None or await self._call("is_range_needed", *span):
            return False
        async with self._exclusive_lock_limit():
            return bool(
                await self._connection.fetchval(QUERIES["drop_day"], partition.name, ended_before)
            )

    async def truncate_default(self, stored_before: datetime) -> bool:
        """Truncate the default partition if all its rows are older and not needed.

        Raises:
            asyncpg.LockNotAvailableError: a lock was not available in time.
        """
        if await self._call("is_range_needed", _LOWEST, first_uuid7_at(stored_before)):
            return False
        async with self._exclusive_lock_limit():
            return bool(await self._call("empty_default", stored_before))

    async def _call(self, function: str, *arguments: Any) -> Any:
        return await self._connection.fetchval(QUERIES[function], self._table, *arguments)

    @asynccontextmanager
    async def _exclusive_lock_limit(self) -> AsyncIterator[None]:
        """Shorten the time limit of statements: others wait for the lock no longer than this.

        The lock ends with the statement, so a process that freezes here holds none.
        """
        await self._connection.execute(f"SET statement_timeout = {LOCKED_MS}")
        try:
            yield
        finally:
            await self._connection.execute(f"SET statement_timeout = {self._statement_ms}")


def _first_id(day: date) -> UUID:
    return first_uuid7_at(datetime.combine(day, time(), tzinfo=UTC))


def _parse_bounds(bounds: str) -> PartitionRange | None:
    found = _BOUNDS.fullmatch(bounds)
    return None if found is None else PartitionRange(UUID(found[1]), UUID(found[2]))
