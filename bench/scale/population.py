"""Builds a database of many accounts by SQL, over as many days as govid keeps events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from govid.bus import BusSettings
from govid.bus.storage.retention import DAYS_AHEAD, RetentionWorker
from govid.bus.storage.sql import load_statements

STATEMENTS = load_statements("bench.scale", "population.sql")
STORED = ("accounts", "sessions", "events", "streams", "receipts", "leases")
KEPT_DAYS = 90


class _At:
    """A clock that always shows the same time."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


async def populate(settings: BusSettings, accounts: int, *, pending: int = 0) -> None:
    """Fill the migrated, empty database of *settings*; so many deliveries are *pending*."""
    await create_partitions(settings)
    connection: Any = await asyncpg.connect(settings.database_url, command_timeout=3600)
    try:
        await connection.execute(STATEMENTS["prepare"])
        await connection.execute(STATEMENTS["accounts"], accounts)
        await connection.execute(STATEMENTS["events"])
        for name in STORED:
            await connection.execute(STATEMENTS[f"store_{name}"])
        await connection.execute(STATEMENTS["store_pending"], pending)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def create_partitions(settings: BusSettings) -> None:
    """Give the database the partitions that ninety days leave behind."""
    now = datetime.now(UTC)
    step = timedelta(days=DAYS_AHEAD + 1)
    for n in reversed(range(KEPT_DAYS // step.days + 1)):
        await RetentionWorker(settings, _At(now - step * n)).run_once()
