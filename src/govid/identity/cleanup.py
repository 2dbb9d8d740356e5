"""Runs the retention jobs of identity: they record what has expired and delete old rows.

Correctness does not depend on when a job runs, because every reader of a row checks its times
itself. `module.py` and `account_services.py` list the jobs.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from govid.bus import (
    Actor,
    OperationContext,
    PeriodicWorker,
    Transaction,
    UnitOfWork,
    try_transaction_lock,
    uuid7,
)

ADVISORY_LOCK = 0x686F757365
"""Key of the advisory lock by which one replica runs a batch at a time."""
BATCH_ROWS = 500
PERIOD_SECONDS = 60.0

CleanupJob = Callable[[Transaction, int], Awaitable[int]]
"""Takes a transaction and a maximum number of rows; returns the number of rows it processed."""


class CleanupWorker:
    """Runs each cleanup job every minute, in batches of `BATCH_ROWS` rows."""

    def __init__(self, uow: UnitOfWork, jobs: Mapping[str, CleanupJob]) -> None:
        """Run *jobs* in this order; their names appear in logs."""
        self._uow = uow
        self._workers = [
            PeriodicWorker(
                partial(self._run_job, job),
                PERIOD_SECONDS,
                failure_event="housekeeping.failed",
                failure_members={"operation": name},
            )
            for name, job in jobs.items()
        ]

    async def run(self) -> None:
        """Run all jobs now and then every minute, until cancelled."""
        await PeriodicWorker(
            self.run_once, PERIOD_SECONDS, failure_event="housekeeping.failed"
        ).run()

    async def run_once(self) -> None:
        """Run every job once; a job that fails does not prevent the others from running."""
        for worker in self._workers:
            await worker.run_once()

    async def _run_job(self, job: CleanupJob) -> None:
        """Run *job* in batches until a batch is not full."""
        while await self._run_batch(job) >= BATCH_ROWS:
            pass

    async def _run_batch(self, job: CleanupJob) -> int:
        """Run one batch of *job* in a transaction, unless another replica holds the lock."""
        context = OperationContext(
            correlation_id=str(uuid7()), actor=Actor(kind="module", id="identity")
        )
        async with self._uow.begin(context) as tx:
            if not await try_transaction_lock(tx.driver, ADVISORY_LOCK):
                return 0
            return await job(tx, BATCH_ROWS)
