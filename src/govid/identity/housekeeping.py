"""Does what has to be done from time to time: what has lapsed is noted, what is old is deleted.

Nothing rests on its punctuality: whoever reads a row judges its times by himself. The jobs are
listed in `module.py`; each is a function that does at most so many rows' worth in the transaction
that it is given, and returns how many that were.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from govid.bus import (
    Actor,
    Cause,
    PeriodicWorker,
    Transaction,
    UnitOfWork,
    try_transaction_lock,
    uuid7,
)

ADVISORY_LOCK = 0x686F757365
"""One replica at a time: "house" in hexadecimal."""
BATCH_ROWS = 500
PERIOD_SECONDS = 60.0

Job = Callable[[Transaction, int], Awaitable[int]]
"""Gets a transaction and the most rows; returns how many it did."""


class Housekeeping:
    """The worker that keeps identity's tables in order."""

    def __init__(self, uow: UnitOfWork, jobs: Mapping[str, Job]) -> None:
        """Do *jobs*, in this order; their names appear in logs."""
        self._uow = uow
        self._workers = [
            PeriodicWorker(
                partial(self._finish, job),
                PERIOD_SECONDS,
                failure_event="housekeeping.failed",
                failure_members={"operation": name},
            )
            for name, job in jobs.items()
        ]

    async def run(self) -> None:
        """Do everything now and every minute, until cancelled."""
        await PeriodicWorker(self.work, PERIOD_SECONDS, failure_event="housekeeping.failed").run()

    async def work(self) -> None:
        """Do all there is to do; a job that fails keeps no other from being done."""
        for worker in self._workers:
            await worker.run_once()

    async def _finish(self, job: Job) -> None:
        """Run *job* in batches until one is not full."""
        while await self._batch(job) >= BATCH_ROWS:
            pass

    async def _batch(self, job: Job) -> int:
        """Do a part of *job* in a transaction, unless another replica is at it."""
        cause = Cause(correlation_id=str(uuid7()), actor=Actor(kind="module", id="identity"))
        async with self._uow.begin(cause) as tx:
            if not await try_transaction_lock(tx.driver, ADVISORY_LOCK):
                return 0
            return await job(tx, BATCH_ROWS)
