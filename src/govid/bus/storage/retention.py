"""Retention of the bus: creates daily partitions ahead of time, and removes rows by age.

`identity/cleanup.py` runs the retention jobs of identity.

Every table of the bus has a retention rule here, or the reason why it needs none; a test compares
the rules with the database. Correctness does not depend on when this worker runs: without it, new
rows go to the default partition and old rows stay longer (ADR-0011).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from time import monotonic
from typing import Any

import asyncpg
import msgspec

from govid.bus.settings import BusSettings
from govid.bus.shared.clock import Clock
from govid.bus.shared.ids import first_uuid7_at
from govid.bus.storage.connection import ConnectionFactory, session_settings
from govid.bus.storage.database import KEEPALIVES
from govid.bus.storage.errors import error_class_name
from govid.bus.storage.partitions import LOCKED_MS, QUERIES, PartitionManager
from govid.bus.storage.sql import release_session_lock, try_session_lock
from govid.bus.storage.workers import PeriodicWorker

log = logging.getLogger(__name__)

ADVISORY_LOCK = 0x72657461696E
"""Held by the one replica that runs retention: "retain" in hexadecimal."""

DAYS_AHEAD = 14
PERIOD_SECONDS = 3600
BUSY_SECONDS = 60
"""The pause before the next round if something was left undone."""
BATCH_ROWS = 1000
LOCK_MS = 200
STATEMENT_MS = 300_000


RetentionStep = Callable[[], Awaitable[None]]


class DailyPartitioned(msgspec.Struct, frozen=True):
    """Daily partitions, dropped by age."""


class AgeLimited(msgspec.Struct, frozen=True):
    """Rows that are deleted in small batches, at the same age as events."""


class Unlimited(msgspec.Struct, frozen=True):
    """No age limit; `why` is the reason why the table cannot grow without bound."""

    reason: str


RULES: Mapping[str, DailyPartitioned | AgeLimited | Unlimited] = {
    # Events first: a receipt is dropped after its event.
    "event": DailyPartitioned(),
    "receipt": DailyPartitioned(),
    "inbox": AgeLimited(),
    "replica": AgeLimited(),
    "delivery": Unlimited("a delivery is deleted when it is completed"),
    "parked": Unlimited("a key is deleted when its event is handled or an operator has decided"),
    "dead": Unlimited("an operator decides about each"),
    "stream": Unlimited("one row a key: the sequence numbers of a key never begin again"),
    "lease": Unlimited("64 rows a subscriber"),
    "topic": Unlimited("one row a topic"),
    "inbox_gap": Unlimited("one row a gap, each of which is an incident"),
    "accepted_end": Unlimited("one row a partition"),
    "installation": Unlimited("one row: the identity of this database"),
    "retention": Unlimited("one row: how long rows are kept at least"),
    "inbound_fault": Unlimited("one row for each position that could not be read: it is evidence"),
}
"""The retention rule of each table of schema `bus`."""


class RetentionWorker:
    """The worker that runs retention every hour, on one replica at a time."""

    def __init__(self, settings: BusSettings, clock: Clock) -> None:
        """Work on the database of *settings*, by the time of *clock*."""
        self._settings = settings
        self._factory = ConnectionFactory(
            settings.database_url,
            application="govid retention",
            settings={
                **session_settings(
                    "govid retention",
                    statement_ms=STATEMENT_MS,
                    lock_ms=LOCK_MS,
                    # A process that is frozen while it holds an exclusive lock loses the lock.
                    idle_in_transaction_ms=LOCKED_MS,
                ),
                **KEEPALIVES,
            },
            command_timeout=STATEMENT_MS / 1000 + 1,
        )
        self._worker = PeriodicWorker(
            self.run_once,
            PERIOD_SECONDS,
            failure_event="retention.failed",
            retry_seconds=BUSY_SECONDS,
        )
        self._clock = clock
        self._logged_days: set[str] = set()

    async def run(self) -> None:
        """Run retention now and every hour, until cancelled."""
        await self._worker.run()

    @property
    def age_seconds(self) -> float:
        """The seconds since the last round without an error; at first, since the start."""
        return monotonic() - self._worker.succeeded_at

    async def run_once(self) -> bool:
        """Run one round; return whether it is complete, or another replica is running one.

        Raises:
            OSError, asyncpg.PostgresError: the database is unavailable or refuses access.
        """
        connection: Any = await self._factory.connect()
        try:
            if not await try_session_lock(connection, ADVISORY_LOCK):
                return True
            complete = True
            for table, step in await self._build_steps(connection):
                try:
                    await step()
                except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
                    log.info(
                        "retention.postponed",
                        extra={"table": table, "error_class": error_class_name(error)},
                    )
                    complete = False
            await release_session_lock(connection, ADVISORY_LOCK)
            return complete
        finally:
            # After an error the lock ends with the connection.
            connection.terminate()

    async def _build_steps(self, connection: Any) -> list[tuple[str, RetentionStep]]:
        """Return the steps of a round in their order, each with its table."""
        # Of two clocks the earlier is used: one that jumps ahead by a year must not drop a year of
        # events, and the database creates no partition of a day that is so far away.
        now = min(self._clock.now(), await connection.fetchval("SELECT now()"))
        wanted = now - timedelta(days=self._settings.row_retention_days)
        # The database may store a longer retention than the settings, and refuses to go below it.
        oldest_kept: datetime = await connection.fetchval(QUERIES["removable_until"], wanted)
        daily = [
            (table, PartitionManager(connection, table, STATEMENT_MS))
            for table, rule in RULES.items()
            if isinstance(rule, DailyPartitioned)
        ]
        today = now.astimezone(UTC).date()
        aged = [table for table, rule in RULES.items() if isinstance(rule, AgeLimited)]
        return [
            # Today's partitions first, for all tables: rows of today are already being written.
            *(
                (table, partial(self._create_partitions, parts, table, today, 0))
                for table, parts in daily
            ),
            *(
                (table, partial(self._create_partitions, parts, table, today, DAYS_AHEAD))
                for table, parts in daily
            ),
            *(
                (table, partial(_drop_partitions, parts, table, oldest_kept))
                for table, parts in daily
            ),
            *((table, partial(_delete_aged, connection, table, oldest_kept)) for table in aged),
        ]

    async def _create_partitions(
        self, partitions: PartitionManager, table: str, today: date, ahead: int
    ) -> None:
        """Create the missing partitions of *today* and of the *ahead* days after it."""
        await partitions.remove_leftover_constraint()
        present = [p.id_range for p in await partitions.fetch_all() if p.id_range is not None]
        for day in (today + timedelta(days=n) for n in range(ahead + 1)):
            first = first_uuid7_at(datetime.combine(day, time(), tzinfo=UTC))
            if any(span.lower <= first < span.upper for span in present):
                continue
            if await partitions.add_day(day, current=day == today) == "occupied":
                self._log_created_day(table, day.isoformat())

    def _log_created_day(self, table: str, day: str) -> None:
        if (name := f"{table} {day}") not in self._logged_days:
            self._logged_days.add(name)
            log.info("retention.day_in_default", extra={"table": table, "day": day})


async def _drop_partitions(partitions: PartitionManager, table: str, oldest_kept: datetime) -> None:
    """Drop the partitions of the days that ended before *oldest_kept*."""
    for partition in await partitions.fetch_all():
        if partition.ends_at is None or partition.ends_at > oldest_kept:
            continue
        if await partitions.drop(partition, oldest_kept):
            log.info("retention.dropped", extra={"partition": partition.name})
        else:
            log.warning("retention.still_needed", extra={"partition": partition.name})
    if await partitions.truncate_default(oldest_kept):
        log.info("retention.dropped", extra={"partition": f"{table}_default"})


async def _delete_aged(connection: Any, table: str, before: datetime) -> None:
    deleted = BATCH_ROWS
    while deleted == BATCH_ROWS:
        deleted = await connection.fetchval(QUERIES["delete_aged"], table, before, BATCH_ROWS)
