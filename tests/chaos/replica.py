"""One replica of the bus, in a process of its own: the real thing, with the rig's consumers."""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg

from govid.bus import BusSettings, SystemClock
from govid.bus.runtime import Bus
from tests.chaos.consumers import Moods, module

STARVED_SECONDS = 2.0


def main(settings: BusSettings, moods: Moods, log: Path) -> None:
    """Run until SIGTERM; SIGUSR1 exhausts all pools for a while."""
    with log.open("a") as output:
        logging.basicConfig(stream=output, level=logging.INFO, format=FORMAT, force=True)
        try:
            asyncio.run(_run(settings, moods))
        except (OSError, asyncpg.PostgresError) as error:
            # The database is away: whoever started this process starts it again.
            logging.getLogger(__name__).warning("not started: %s", type(error).__name__)
            sys.exit(1)


FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"


async def _run(settings: BusSettings, moods: Moods) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    bus = Bus(settings, SystemClock())
    bus.add(module(bus.database, moods))
    tasks: set[asyncio.Task[None]] = set()

    def starve() -> None:
        task = asyncio.create_task(_starve(bus))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGUSR1, starve)
    await bus.start()
    try:
        await stop.wait()
    finally:
        await bus.stop()


async def _starve(bus: Bus) -> None:
    """Hold as many connections of every pool as can be had, for a while."""
    async with AsyncExitStack() as stack:

        async def hold() -> None:
            pool = bus.settings
            for _ in range(pool.bus_pool_size):
                await stack.enter_async_context(bus.database.bus.connect())
            for _ in range(pool.bus_read_pool_size):
                await stack.enter_async_context(bus.database.bus_reads.acquire())
            await asyncio.sleep(STARVED_SECONDS)

        try:
            async with asyncio.timeout(STARVED_SECONDS):
                await hold()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return
