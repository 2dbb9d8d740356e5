"""Tells workers that there is something to do, in this process and in the others.

Inside the process it costs nothing. Between replicas it is one NOTIFY for all commits of the last
50 ms, on a connection of its own: `pg_notify` inside business transactions would take a lock that
all commits of the cluster queue for. A dead LISTEN connection is no fault, only a delay: every
worker also polls.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

from govid.bus.storage.connection import IS_READ_ONLY, ConnectionFactory
from govid.bus.storage.errors import error_members
from govid.bus.storage.generation import ConnectionGeneration
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

CHANNEL = "govid_wake"
DEBOUNCE_SECONDS = 0.05
PROBE_SECONDS = 15
COMMAND_SECONDS = 5.0
RESTART_SECONDS = 1.0


class Wake:
    """One bell for each worker."""

    def __init__(self) -> None:
        """Start with no bells."""
        self._bells: dict[str, asyncio.Event] = {}
        self._listeners: list[Callable[[Collection[str]], None]] = []

    def bell(self, subscriber: str) -> asyncio.Event:
        """Return the event that is set when *subscriber* has something to do."""
        return self._bells.setdefault(subscriber, asyncio.Event())

    def ring(self, subscribers: Collection[str]) -> None:
        """Wake the workers of *subscribers*, here and wherever anybody passes it on."""
        self.ring_here(subscribers)
        for listener in self._listeners:
            listener(subscribers)

    def ring_here(self, subscribers: Collection[str]) -> None:
        """Wake the workers of *subscribers* in this process only."""
        for name in subscribers:
            bell = self._bells.get(name)
            if bell is not None:
                bell.set()

    def ring_all(self) -> None:
        """Wake everybody in this process."""
        self.ring_here(tuple(self._bells))

    def pass_on(self, listener: Callable[[Collection[str]], None]) -> None:
        """Call *listener* at each ring."""
        self._listeners.append(listener)


class Notifier:
    """Passes wake-ups on to other replicas, and theirs to this one."""

    def __init__(
        self,
        database_url: str,
        wake: Wake,
        replicas: Callable[[], int],
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Notify only while *replicas* says that there is somebody to hear it.

        The listening connection ends with its *generation*: on a server that is no longer the
        primary it would hear nothing and fail by nothing.
        """
        self._factory = ConnectionFactory(
            database_url, application="govid wake", command_timeout=COMMAND_SECONDS
        )
        self._generation = generation or ConnectionGeneration()
        self._generation.on_end(self._reconnect)
        self._wake = wake
        self._replicas = replicas
        self._pending: set[str] = set()
        self._news = asyncio.Event()
        wake.pass_on(self._remember)

    async def run(self) -> None:
        """Listen and notify until cancelled."""
        while True:
            try:
                await self._converse()
            except DATABASE_UNAVAILABLE as error:
                log.warning("wake.listener_lost", extra=error_members(error))
                await asyncio.sleep(RESTART_SECONDS)

    async def _converse(self) -> None:
        made_in = self._generation.number
        connection: Any = await self._factory.open()
        try:
            await connection.add_listener(CHANNEL, self._heard)
            # Whatever was said while nobody listened is lost: look for yourselves.
            self._wake.ring_all()
            while made_in == self._generation.number:
                try:
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    if await connection.fetchval(IS_READ_ONLY):
                        self._generation.end()
                    continue
                self._news.clear()
                if self._pending:
                    await asyncio.sleep(DEBOUNCE_SECONDS)
                    names, self._pending = self._pending, set()
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(names))
        finally:
            connection.terminate()

    def _reconnect(self) -> None:
        self._news.set()

    def _remember(self, subscribers: Collection[str]) -> None:
        if self._replicas() > 1:
            self._pending.update(subscribers)
            self._news.set()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._wake.ring_here(payload.split(","))
