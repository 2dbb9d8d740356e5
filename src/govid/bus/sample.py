"""Samples the database gauges: pending deliveries, dead letters, open transactions."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic

import msgspec

from govid.bus.ids import uuid7_timestamp
from govid.bus.pending import count_pending, fetch_oldest_pending, fetch_subscribers
from govid.bus.sql import load_statements
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

CACHE_SECONDS = 5.0
"""How long a sample is cached: more frequent scrapes get the same values."""
TIMEOUT_SECONDS = 3.0
_SQL = load_statements("govid.bus", "sample.sql")


class PendingStats(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery gauges of one subscriber."""

    pending: int
    oldest_seconds: float
    parked_keys: int
    dead: int


class DatabaseSample(msgspec.Struct, frozen=True, kw_only=True):
    """The database gauges of one sample."""

    outbox: Mapping[str, PendingStats] = {}
    dead_tuples: Mapping[str, int] = {}
    gap_records: int | None = None
    oldest_transaction_seconds: float | None = None


class DatabaseSampler:
    """Samples the database on demand, at most once every five seconds."""

    def __init__(self, database: Database) -> None:
        """Begin with an empty sample."""
        self._database = database
        self._refresh_lock = asyncio.Lock()
        self._refreshed_at = float("-inf")
        self.last = DatabaseSample()

    async def refresh(self) -> None:
        """Take a new sample if the last is too old; an unavailable database gives an empty one."""
        async with self._refresh_lock:
            if monotonic() - self._refreshed_at < CACHE_SECONDS:
                return
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    self.last = await self._read_sample()
            except DATABASE_UNAVAILABLE as error:
                log.info("metrics.no_sample", extra={"error_class": error_class(error)})
                self.last = DatabaseSample()
            self._refreshed_at = monotonic()

    async def _read_sample(self) -> DatabaseSample:
        now = datetime.now(UTC)
        async with self._database.bus_reads.acquire() as connection:
            names = await fetch_subscribers(connection)
            pending = await count_pending(connection, names)
            oldest_ids = await fetch_oldest_pending(connection, names)
            rows = await connection.fetch(_SQL["stuck"], names)
            gap_records = await connection.fetchval(_SQL["gap_records"])
            tables = await connection.fetch(_SQL["dead_tuples"])
            oldest = await connection.fetchval(_SQL["oldest_transaction"])
        return DatabaseSample(
            outbox={
                row["subscriber"]: PendingStats(
                    pending=pending[row["subscriber"]].deliveries,
                    # An id contains its time, so that the event need not be read.
                    oldest_seconds=max(
                        0.0, (now - uuid7_timestamp(oldest_ids[row["subscriber"]])).total_seconds()
                    )
                    if row["subscriber"] in oldest_ids
                    else 0.0,
                    parked_keys=row["parked_keys"],
                    dead=row["dead"],
                )
                for row in rows
            },
            dead_tuples={row["name"]: row["dead"] for row in tables},
            gap_records=gap_records,
            oldest_transaction_seconds=oldest,
        )
