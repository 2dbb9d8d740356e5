"""One replica of the bus, in a process of its own: the real thing, with the rig's consumers."""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from govid.bus import BusSettings, SystemClock
from govid.bus.runtime import Bus
from tests.chaos.consumers import PlannedFailures, module

log = logging.getLogger(__name__)

STARVED_SECONDS = 2.0


def main(settings: BusSettings, moods: PlannedFailures, logs: Path) -> None:
    """Run until SIGTERM; SIGUSR1 exhausts all pools for a while, SIGUSR2 tells what goes on."""
    with logs.open("a") as output:
        handler = logging.StreamHandler(output)
        handler.setFormatter(Lines())
        logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
        try:
            asyncio.run(_run(settings, moods))
        except (OSError, asyncpg.PostgresError) as error:
            # The database is away: the process that started this one starts it again.
            log.warning("not started", extra={"error_class": type(error).__name__})
            sys.exit(1)


class Lines(logging.Formatter):
    """One line for each record, with all that was noted about it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        extra = {key: value for key, value in vars(record).items() if key not in PLAIN}
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return f"{moment} {record.process} {record.levelname} {record.getMessage()} {extra}"


PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


async def _run(settings: BusSettings, moods: PlannedFailures) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    bus = Bus(settings, SystemClock())
    bus.add_module(module(bus.database, moods))
    tasks: set[asyncio.Task[None]] = set()

    def starve() -> None:
        task = asyncio.create_task(_starve(bus))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGUSR1, starve)
    loop.add_signal_handler(signal.SIGUSR2, _tell)
    await bus.start()
    try:
        await stop.wait()
    finally:
        await bus.stop()


def _tell() -> None:
    for task in asyncio.all_tasks():
        log.info("task", extra={"task": task.get_name(), "at": _place(task.get_coro())})


def _place(work: Any) -> str:
    """Return what *work* waits for, from its own line inwards."""
    places = []
    while (frame := getattr(work, "cr_frame", getattr(work, "ag_frame", None))) is not None:
        places.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        work = getattr(work, "cr_await", getattr(work, "ag_await", None))
    return " > ".join(places)


async def _starve(bus: Bus) -> None:
    """Hold as many connections of every pool as can be had, for a while."""
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        async with asyncio.timeout(STARVED_SECONDS), AsyncExitStack() as stack:
            for _ in range(bus.settings.bus_pool_size):
                await stack.enter_async_context(bus.database.bus.connect())
            for _ in range(bus.settings.bus_read_pool_size):
                await stack.enter_async_context(bus.database.bus_reads.acquire())
            await asyncio.sleep(STARVED_SECONDS)
