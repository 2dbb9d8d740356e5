"""Keeps a background worker alive: whatever ends it, it begins again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from govid.bus.storage.errors import error_members

log = logging.getLogger(__name__)

RESTART_SECONDS = 0.5


async def supervise(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run *work* until it returns or this task is cancelled; begin again after anything else.

    A worker that dies silently would be an outbox that stops: no error may end one for good. A
    cancellation that nobody asked for is such an error, too: where a library cancels a task or a
    future of its own (aiokafka does when it closes), whoever awaits it is cancelled with it.
    """
    while True:
        try:
            await work()
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            _tell(name, error)
        except Exception as error:  # noqa: BLE001 - an edge: the worker has to come back
            _tell(name, error)
        else:
            return
        await asyncio.sleep(RESTART_SECONDS)


def is_being_cancelled() -> bool:
    """Tell whether somebody has asked the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _tell(name: str, error: BaseException) -> None:
    # Without a traceback, which may quote personal data (I9).
    log.error("bus.worker_failed", extra={"worker": name, **error_members(error)})
