"""Stores events and receipts of other days than today, and finds their partitions."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from govid.bus.shared.ids import first_uuid7_at

DAY = timedelta(days=1)


class FixedClock:
    """A clock that always returns the same moment."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def noon_of(day: date) -> datetime:
    return datetime.combine(day, time(12), tzinfo=UTC)


def event_id_at(day: date, number: int = 0) -> UUID:
    """Return the id of an event of noon on *day*."""
    return UUID(int=first_uuid7_at(noon_of(day)).int + number)


async def store(database: Any, event_id: UUID, *, pending_for: str | None = None) -> None:
    """Store an event with a receipt and, with *pending_for* a subscriber, a pending delivery."""
    await database.reads.execute(
        "INSERT INTO bus.event (id, type, version, payload, headers, occurred_at)"
        " VALUES ($1, 'tests.something.happened', 1, '{}', '{}', clock_timestamp())",
        event_id,
    )
    await database.reads.execute(
        "INSERT INTO bus.receipt (subscriber, event_id, outcome) VALUES ('tests.one', $1, 'done')",
        event_id,
    )
    if pending_for is not None:
        await database.reads.execute(
            "INSERT INTO bus.delivery (subscriber, pos, bucket, event_id)"
            " SELECT $2, pos, 0, id FROM bus.event WHERE id = $1",
            event_id,
            pending_for,
        )


async def partitions(database: Any, table: str) -> list[str]:
    """Return the names of the partitions of *table*."""
    rows = await database.reads.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = ('bus.' || $1::text)::regclass ORDER BY 1",
        table,
    )
    return [row["name"].removeprefix(f"bus.{table}_") for row in rows]


async def find_partition(database: Any, table: str, column: str, event_id: UUID) -> str:
    """Return the name of the partition that holds the row of *event_id*."""
    name: str = await database.reads.fetchval(
        f"SELECT tableoid::regclass::text FROM bus.{table} WHERE {column} = $1",  # noqa: S608
        event_id,
    )
    return name.removeprefix(f"bus.{table}_")


def partition_names(first: date, count: int) -> list[str]:
    """Return how the partitions of *count* days are called, and the default one."""
    return [f"{first + n * DAY:%Y%m%d}" for n in range(count)] + ["default"]
