"""Retention of the audit log: removes personal values and entries by age, never leaves.

Two functions of the tables' owner remove rows. They respect the ages that `govid migrate` has
stored in `audit.retention`, whatever this worker asks for (migration 0029).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from govid.bus.audit.rules import ENTRY, retention_days
from govid.bus.settings import AuditSettings
from govid.bus.shared.clock import Clock
from govid.bus.storage.sql import try_transaction_lock
from govid.bus.storage.workers import PeriodicWorker

if TYPE_CHECKING:
    from govid.bus.storage.database import Database

ADVISORY_LOCK = 0x7075726765
"""Held by the one replica that removes rows: "purge" in hexadecimal."""
PERIOD_SECONDS = 3600
BATCH_ROWS = 1_000

UNLIMITED: Mapping[str, str] = {
    "leaf": "the tree stays whole when entries are removed; a leaf has no personal data",
    "checkpoint": "each is the proof of a time, a few hundred bytes for a second with entries",
    "retention": "one row for each kind",
}
"""The tables of schema `audit` without an age limit, and why. The others are `entry`, limited in
years, and `restricted`, limited by kind."""


class AuditRetention:
    """The worker that removes what is too old, every hour, on one replica at a time."""

    def __init__(self, database: "Database", settings: AuditSettings, clock: Clock) -> None:
        """Keep rows as *settings* say, by the earlier of *clock* and the database's clock."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._worker = PeriodicWorker(
            self.run_once, PERIOD_SECONDS, failure_event="audit.retention_failed"
        )

    async def run(self) -> None:
        """Remove rows now and every hour, until cancelled."""
        await self._worker.run()

    async def run_once(self) -> None:
        """Remove all rows that are too old, in batches.

        Raises:
            OSError, asyncpg.PostgresError: the database is unavailable.
        """
        for kind, days in retention_days(self._settings).items():
            while await self._purge_batch(kind, timedelta(days=days)) == BATCH_ROWS:
                pass

    async def _purge_batch(self, kind: str, age: timedelta) -> int:
        """Remove one batch; return its size, 0 if another replica is removing rows."""
        async with self._database.bus_reads.acquire() as connection, connection.transaction():
            if not await try_transaction_lock(connection, ADVISORY_LOCK):
                return 0
            before = await self._now(connection) - age
            removed: int
            if kind == ENTRY:
                removed = await connection.fetchval(
                    "SELECT audit.purge_entries($1, $2)", before, BATCH_ROWS
                )
            else:
                removed = await connection.fetchval(
                    "SELECT audit.purge_restricted($1, $2, $3)", kind, before, BATCH_ROWS
                )
            return removed

    async def _now(self, connection: Any) -> datetime:
        # A clock that jumps ahead must not remove a year of entries.
        database_now: datetime = await connection.fetchval("SELECT now()")
        return min(self._clock.now(), database_now)
