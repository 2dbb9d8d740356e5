"""The replicas of a run: started, killed, frozen, and started again when they have died."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from govid.bus import BusSettings
from tests.chaos.consumers import PlannedFailures
from tests.chaos.replica import main

STOP_SECONDS = 10.0
"""How long a replica may take to stop (the bus's own promise)."""
LOOK_SECONDS = 0.05
RESTART_SECONDS = 0.5


class Replica:
    """Supervises one process: it is replaced if it dies, for as long as the run lasts."""

    def __init__(
        self,
        fork_server: ForkServerContext,
        settings: BusSettings,
        moods: PlannedFailures,
        log: Path,
    ) -> None:
        """Describe a replica; nothing runs before `start`."""
        self.deaths = 0
        self.slow_stops = 0
        self._fork_server = fork_server
        self._arguments = (settings, moods, log)
        self._process: BaseProcess | None = None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start a process, and another whenever it has died."""
        self._start()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to stop, and kill it if it takes longer than it may."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        process = self._process
        if process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not await _ended(process, STOP_SECONDS):
            self.slow_stops += 1
            self.signal(signal.SIGUSR2)
            await asyncio.sleep(LOOK_SECONDS)
            self.signal(signal.SIGKILL)
            await _ended(process, STOP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is a process to take it."""
        if self._process is not None and self._process.pid and self._process.is_alive():
            os.kill(self._process.pid, number)

    def _start(self) -> None:
        process = self._fork_server.Process(target=main, args=self._arguments, daemon=True)
        process.start()
        self._process = process

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._process is not None and not self._process.is_alive():
                self.deaths += 1
                # A supervisor waits a moment, too: other replicas take its deliveries.
                await asyncio.sleep(RESTART_SECONDS)
                self._start()


@asynccontextmanager
async def running(replicas: Sequence[Replica]) -> AsyncIterator[Sequence[Replica]]:
    """Start all *replicas*, and stop them, all at once, after the block."""
    for replica in replicas:
        replica.start()
    try:
        yield replicas
    finally:
        await asyncio.gather(*(replica.stop() for replica in replicas))


async def _ended(process: BaseProcess, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.is_alive() and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
    return not process.is_alive()
