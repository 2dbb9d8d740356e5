"""Supervises a background worker: restarts it after any error."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from govid.bus.storage.errors import error_members

log = logging.getLogger(__name__)

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
