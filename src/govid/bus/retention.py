"""Keeps the tables of the bus from growing for ever, and gives each day a place before it comes.

Every table has a rule here, or the reason why it needs none; a test holds the table of rules
against the database. Nothing rests on this worker's punctuality: what it does not get done stands
in the default partition, or stays a little longer (ADR-0011).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from functools import partial
from time import monotonic
from typing import Any

import asyncpg
import msgspec

from govid.bus.clock import Clock
from govid.bus.ids import first_uuid7_of
from govid.bus.partitions import LOCKED_MS, QUERIES, Partitions
from govid.bus.settings import BusSettings
from govid.bus.storage.advisory_locks import release_session_lock, try_session_lock
from govid.bus.storage.connection import ConnectionFactory, session_settings
from govid.bus.storage.database import KEEPALIVES
from govid.bus.storage.errors import error_class
from govid.bus.storage.periodic import PeriodicWorker

log = logging.getLogger(__name__)

ADVISORY_LOCK = 0x72657461696E
"""One replica at a time: "retain" in hexadecimal."""

DAYS_AHEAD = 14
PERIOD_SECONDS = 3600
BUSY_SECONDS = 60
"""When to come back if something had to be left undone."""
BATCH_ROWS = 1000
LOCK_MS = 200
STATEMENT_MS = 300_000


Step = Callable[[], Awaitable[None]]


class Daily(msgspec.Struct, frozen=True):
    """Partitions, one a day, dropped when they are old: `column` holds the ids that date a row."""

    column: str


class Aged(msgspec.Struct, frozen=True):
    """Rows deleted in small batches, as old as events are when they are dropped."""


class Exempt(msgspec.Struct, frozen=True):
    """No rule, because the table cannot grow for ever: `why`."""

    why: str


RULES: Mapping[str, Daily | Aged | Exempt] = {
    # Events first: a receipt leaves when its event is gone.
    "event": Daily(column="id"),
    "receipt": Daily(column="event_id"),
    "inbox": Aged(),
    "replica": Aged(),
    "delivery": Exempt("a debt leaves when it is paid"),
    "parked": Exempt("a key leaves when its event is handled, or an operator has decided"),
    "dead": Exempt("an operator decides about each"),
    "stream": Exempt("one row a key: the numbers of a key never begin again"),
    "lease": Exempt("64 rows a subscriber"),
    "topic": Exempt("one row a topic"),
    "inbox_gap": Exempt("one row a gap, each of which is an incident"),
    "accepted_end": Exempt("one row a partition"),
    "installation": Exempt("one row: which database this is"),
    "inbound_fault": Exempt("one row for each place that could not be read: it is evidence"),
}
"""How the rows of each table of schema `bus` leave."""


class Retention:
    """The worker that makes room."""

    def __init__(self, settings: BusSettings, clock: Clock) -> None:
        """Work on the database of *settings*, at the times of *clock*."""
        self._settings = settings
        self._factory = ConnectionFactory(
            settings.database_url,
            application="govid retention",
            settings={
                **session_settings(
                    "govid retention",
                    statement_ms=STATEMENT_MS,
                    lock_ms=LOCK_MS,
                    # A process that is frozen while it locks others out is not waited for.
                    idle_in_transaction_ms=LOCKED_MS,
                ),
                **KEEPALIVES,
            },
            command_timeout=STATEMENT_MS / 1000 + 1,
        )
        self._worker = PeriodicWorker(
            self.work,
            PERIOD_SECONDS,
            failure_event="retention.failed",
            retry_seconds=BUSY_SECONDS,
        )
        self._clock = clock
        self._told: set[str] = set()

    async def run(self) -> None:
        """Make room now and every hour, until cancelled."""
        await self._worker.run()

    @property
    def age_seconds(self) -> float:
        """For how many seconds no round has ended without an error; at first, since the start."""
        return monotonic() - self._worker.succeeded_at

    async def work(self) -> bool:
        """Do all there is to do; tell whether nothing is left, or another replica is at it.

        Raises:
            OSError, asyncpg.PostgresError: the database is away, or does not let us.
        """
        connection: Any = await self._factory.open()
        try:
            if not await try_session_lock(connection, ADVISORY_LOCK):
                return True
            complete = True
            for table, step in await self._steps(connection):
                try:
                    await step()
                except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
                    log.info(
                        "retention.postponed",
                        extra={"table": table, "error_class": error_class(error)},
                    )
                    complete = False
            await release_session_lock(connection, ADVISORY_LOCK)
            return complete
        finally:
            # After an error the lock goes with the connection.
            connection.terminate()

    async def _steps(self, connection: Any) -> list[tuple[str, Step]]:
        """Return what there is to do, in order, and to which table."""
        # Of two clocks the one that drops less is believed: a clock that jumps ahead by a year
        # must not take a year of events with it.
        now = min(self._clock.now(), await connection.fetchval("SELECT now()"))
        limit = now - timedelta(days=self._settings.kept_days)
        daily = [
            (table, Partitions(connection, table, rule.column))
            for table, rule in RULES.items()
            if isinstance(rule, Daily)
        ]
        aged = [table for table, rule in RULES.items() if isinstance(rule, Aged)]
        return [
            # Today first, everywhere: its rows are on their way.
            *((table, partial(self._prepare, parts, table, 0)) for table, parts in daily),
            *((table, partial(self._prepare, parts, table, DAYS_AHEAD)) for table, parts in daily),
            *((table, partial(_drop, parts, table, limit)) for table, parts in daily),
            *((table, partial(_purge, connection, table, limit)) for table in aged),
        ]

    async def _prepare(self, partitions: Partitions, table: str, ahead: int) -> None:
        """See to it that today, and so many days ahead, have partitions."""
        await partitions.clear()
        present = [p.span for p in await partitions.all() if p.span is not None]
        today = self._clock.now().astimezone(UTC).date()
        for day in (today + timedelta(days=n) for n in range(ahead + 1)):
            first = first_uuid7_of(datetime.combine(day, time(), tzinfo=UTC))
            if any(span.lower <= first < span.upper for span in present):
                continue
            if await partitions.add(day, current=day == today) == "occupied":
                self._tell_once(table, day.isoformat())

    def _tell_once(self, table: str, day: str) -> None:
        if (name := f"{table} {day}") not in self._told:
            self._told.add(name)
            log.info("retention.day_in_default", extra={"table": table, "day": day})


async def _drop(partitions: Partitions, table: str, limit: datetime) -> None:
    """Let go of the days that were over at *limit*."""
    for partition in await partitions.all():
        if partition.ends_at is None or partition.ends_at > limit:
            continue
        if await partitions.drop(partition):
            log.info("retention.dropped", extra={"partition": partition.name})
        else:
            log.warning("retention.still_needed", extra={"partition": partition.name})
    if await partitions.empty_default(first_uuid7_of(limit)):
        log.info("retention.dropped", extra={"partition": f"{table}_default"})


async def _purge(connection: Any, table: str, before: datetime) -> None:
    while True:
        status = await connection.execute(QUERIES[f"purge_{table}"], before, BATCH_ROWS)
        if int(status.rpartition(" ")[2]) < BATCH_ROWS:
            return
