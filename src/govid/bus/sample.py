"""What only the database knows: how much is owed, what is dead, who keeps vacuum from its work."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic

import msgspec

from govid.bus.ids import moment_of
from govid.bus.pending import count_pending, oldest_pending, subscribers
from govid.bus.sql import read
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

BELIEVED_SECONDS = 5.0
"""How long a sample is good enough: who asks more often gets the same again."""
PATIENCE_SECONDS = 3.0
_SQL = read("govid.bus", "sample.sql")


class Debts(msgspec.Struct, frozen=True, kw_only=True):
    """What one subscriber has to expect."""

    pending: int
    oldest_seconds: float
    parked_keys: int
    dead: int


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the database."""

    outbox: Mapping[str, Debts] = {}
    dead_tuples: Mapping[str, int] = {}
    gap_records: int | None = None
    oldest_transaction_seconds: float | None = None


class Sampler:
    """Looks at the database when somebody wants to know, and not too often."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self.last = Sample()

    async def refresh(self) -> None:
        """Look again if the last look is too old; a database that is away leaves an empty one."""
        async with self._looking:
            if monotonic() - self._looked_at < BELIEVED_SECONDS:
                return
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    self.last = await self._look()
            except DATABASE_UNAVAILABLE as error:
                log.info("metrics.no_sample", extra={"error_class": error_class(error)})
                self.last = Sample()
            self._looked_at = monotonic()

    async def _look(self) -> Sample:
        now = datetime.now(UTC)
        async with self._database.bus_reads.acquire() as connection:
            names = await subscribers(connection)
            pending = await count_pending(connection, names)
            oldest_ids = await oldest_pending(connection, names)
            debts = await connection.fetch(_SQL["stuck"], names)
            gap_records = await connection.fetchval(_SQL["gap_records"])
            tables = await connection.fetch(_SQL["dead_tuples"])
            oldest = await connection.fetchval(_SQL["oldest_transaction"])
        return Sample(
            outbox={
                row["subscriber"]: Debts(
                    pending=pending[row["subscriber"]].deliveries,
                    # An id tells its time of birth, which saves reading the event.
                    oldest_seconds=max(
                        0.0, (now - moment_of(oldest_ids[row["subscriber"]])).total_seconds()
                    )
                    if row["subscriber"] in oldest_ids
                    else 0.0,
                    parked_keys=row["parked_keys"],
                    dead=row["dead"],
                )
                for row in debts
            },
            dead_tuples={row["name"]: row["dead"] for row in tables},
            gap_records=gap_records,
            oldest_transaction_seconds=oldest,
        )
