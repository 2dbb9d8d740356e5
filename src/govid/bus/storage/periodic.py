"""Runs a job periodically beside the server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from govid.bus.storage.errors import error_members
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

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
