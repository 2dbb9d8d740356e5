"""Does what has to be done from time to time: what has lapsed is noted, what is old is deleted.

Nothing rests on its punctuality: whoever reads a row judges its times by himself. The jobs are
listed in `module.py`; each is a function that does at most so many rows' worth in the transaction
that it is given, and returns how many that were.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from govid.bus import Actor, Cause, Transaction, UnitOfWork, uuid7

log = logging.getLogger(__name__)

ADVISORY_LOCK = 0x686F757365
"""One replica at a time: "house" in hexadecimal."""
BATCH_ROWS = 500
PERIOD_SECONDS = 60.0
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError)

Job = Callable[[Transaction, int], Awaitable[int]]
"""Gets a transaction and the most rows; returns how many it did."""


class Housekeeping:
    """The worker that keeps identity's tables in order."""

    def __init__(self, uow: UnitOfWork, jobs: Mapping[str, Job]) -> None:
        """Do *jobs*, in this order; their names appear in logs."""
        self._uow = uow
        self._jobs = jobs

    async def run(self) -> None:
        """Do everything now and every minute, until cancelled."""
        while True:
            await self.work()
            await asyncio.sleep(PERIOD_SECONDS)

    async def work(self) -> None:
        """Do all there is to do; a job that fails keeps no other from being done."""
        for name, job in self._jobs.items():
            try:
                while await self._batch(job) >= BATCH_ROWS:
                    pass
            except _FAILURES as error:
                log.warning(
                    "housekeeping.failed",
                    extra={"operation": name, "error_class": type(error).__name__},
                )

    async def _batch(self, job: Job) -> int:
        """Do a part of *job* in a transaction, unless another replica is at it."""
        cause = Cause(correlation_id=str(uuid7()), actor=Actor(kind="module", id="identity"))
        async with self._uow.begin(cause) as tx:
            # It goes with the transaction: a replica that dies cannot keep it.
            if not await tx.driver.fetchval("SELECT pg_try_advisory_xact_lock($1)", ADVISORY_LOCK):
                return 0
            return await job(tx, BATCH_ROWS)
