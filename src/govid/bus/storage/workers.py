"""Background workers: supervision with restart, the periodic loop, and the errors they retry."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from govid.bus.storage.errors import DRIVER_ERRORS, error_members

log = logging.getLogger(__name__)


DATABASE_UNAVAILABLE = (*DRIVER_ERRORS, SQLAlchemyError)
"""The errors of asyncpg and SQLAlchemy when a statement or a connection attempt fails in the
database.

For workers that log a failed round and retry. `errors.classify_database_error` returns the kind.
"""


RESTART_SECONDS = 0.5
MAX_PAUSE_SECONDS = 2.0
"""The longest pause before a restart. The pause grows for a worker that fails at once, because
many workers wait for the same database."""
HEALTHY_SECONDS = 10.0
"""A worker that ran for longer is restarted after the shortest pause."""
SILENCE_SECONDS = 30.0
"""The minimum time between two log lines about the same failure of a worker."""


async def supervise_worker(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run *work* until it returns or this task is cancelled; restart it after any error.

    If a worker ended silently the outbox would stop, so no error may end one permanently. A
    cancellation that was not requested counts as an error: when a library cancels its own task or
    future (aiokafka does so when it closes), the task that awaits it is cancelled too.
    """
    pause = RESTART_SECONDS
    logged: dict[str, str] = {}
    logged_at = float("-inf")
    while True:
        started = monotonic()
        try:
            await work()
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            members = error_members(error)
        except Exception as error:  # noqa: BLE001 - an edge: the worker has to come back
            members = error_members(error)
        else:
            return
        now = monotonic()
        if members != logged or now - logged_at > SILENCE_SECONDS:
            # Without a traceback, which may quote personal data (I9).
            log.error("bus.worker_failed", extra={"worker": name, **members})
            logged, logged_at = members, now
        pause = RESTART_SECONDS if now - started > HEALTHY_SECONDS else pause
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


def is_being_cancelled() -> bool:
    """Tell whether the cancellation of the running task was requested."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


PeriodicJob = Callable[[], Awaitable[bool | None]]
"""Runs one round. Returns False if something was left undone."""


class PeriodicWorker:
    """Runs a job at once and then every period. A round that fails is logged and tried again."""

    def __init__(
        self,
        job: PeriodicJob,
        period_seconds: float,
        *,
        failure_event: str,
        failure_members: Mapping[str, str] = {},
        failures: tuple[type[Exception], ...] = DATABASE_UNAVAILABLE,
        retry_seconds: float | None = None,
        waits_first: bool = False,
    ) -> None:
        """Run *job*; after a round that failed or left something undone, wait *retry_seconds*.

        *failure_event* names the log line of a failed round, *failure_members* are added to it.
        Errors that are not among *failures* end the worker. With *waits_first* the first round
        begins after one period.
        """
        self._job = job
        self._period_seconds = period_seconds
        self._retry_seconds = period_seconds if retry_seconds is None else retry_seconds
        self._failure_event = failure_event
        self._failure_members = failure_members
        self._failures = failures
        self._waits_first = waits_first
        self.succeeded_at = monotonic()
        """When the last round ended without an error, on the monotonic clock; at first, now."""

    async def run(self) -> None:
        """Run the job until cancelled."""
        if self._waits_first:
            await asyncio.sleep(self._period_seconds)
        while True:
            complete = await self.run_once()
            await asyncio.sleep(self._period_seconds if complete else self._retry_seconds)

    async def run_once(self) -> bool:
        """Run one round; return whether it did everything."""
        try:
            complete = await self._job()
        except self._failures as error:
            members = {**self._failure_members, **error_members(error)}
            log.warning(self._failure_event, extra=members)
            return False
        self.succeeded_at = monotonic()
        return complete is not False
