"""Keeps a background worker alive: whatever ends it, it begins again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from govid.bus.storage.errors import error_members

log = logging.getLogger(__name__)

RESTART_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 2.0
"""A worker that fails at once is begun again ever more rarely: many wait for the same database."""
HEALTHY_SECONDS = 10.0
"""A worker that ran as long as this had begun well."""
SILENCE_SECONDS = 30.0
"""How rarely the same failure of the same worker is logged."""


async def supervise(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run *work* until it returns or this task is cancelled; begin again after anything else.

    A worker that dies silently would be an outbox that stops: no error may end one for good. A
    cancellation that nobody asked for is such an error, too: where a library cancels a task or a
    future of its own (aiokafka does when it closes), whoever awaits it is cancelled with it.
    """
    pause = RESTART_SECONDS
    told: dict[str, str] = {}
    told_at = float("-inf")
    while True:
        began = monotonic()
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
        if members != told or now - told_at > SILENCE_SECONDS:
            # Without a traceback, which may quote personal data (I9).
            log.error("bus.worker_failed", extra={"worker": name, **members})
            told, told_at = members, now
        pause = RESTART_SECONDS if now - began > HEALTHY_SECONDS else pause
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def is_being_cancelled() -> bool:
    """Tell whether somebody has asked the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
