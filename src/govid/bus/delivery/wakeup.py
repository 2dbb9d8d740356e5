"""Wake-ups: notify workers of new deliveries, in this process and, by LISTEN/NOTIFY, in others.

Inside the process a wake-up costs nothing. Between replicas one NOTIFY covers all commits of the
last 50 ms. It has a connection of its own, because `pg_notify` inside business transactions would
take a lock for which all commits of the cluster queue. A broken LISTEN connection causes only a
delay, because every worker also polls.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

from govid.bus.storage.connection import IS_READ_ONLY, ConnectionFactory
from govid.bus.storage.errors import error_members
from govid.bus.storage.pools import ConnectionGeneration
from govid.bus.storage.workers import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

CHANNEL = "govid_wake"
DEBOUNCE_SECONDS = 0.05
PROBE_SECONDS = 15
COMMAND_SECONDS = 5.0
RESTART_SECONDS = 1.0


class WakeupHub:
    """The wake-up events of this process, one for each subscriber."""

    def __init__(self) -> None:
        """Start without events."""
        self._events: dict[str, asyncio.Event] = {}
        self._forwarders: list[Callable[[Collection[str]], None]] = []

    def event(self, subscriber: str) -> asyncio.Event:
        """Return the event that is set when *subscriber* may have new deliveries."""
        return self._events.setdefault(subscriber, asyncio.Event())

    def notify(self, subscribers: Collection[str]) -> None:
        """Wake the workers of *subscribers* in this process, and forward the wake-up."""
        self.notify_local(subscribers)
        for forwarder in self._forwarders:
            forwarder(subscribers)

    def notify_local(self, subscribers: Collection[str]) -> None:
        """Wake the workers of *subscribers* in this process only."""
        for name in subscribers:
            event = self._events.get(name)
            if event is not None:
                event.set()

    def notify_all(self) -> None:
        """Wake all workers of this process."""
        self.notify_local(tuple(self._events))

    def forward(self, forwarder: Callable[[Collection[str]], None]) -> None:
        """Call *forwarder* with the subscribers of each `notify`."""
        self._forwarders.append(forwarder)


class WakeupNotifier:
    """Forwards wake-ups to other replicas by NOTIFY, and receives theirs by LISTEN."""

    def __init__(
        self,
        database_url: str,
        wakeups: WakeupHub,
        replica_count: Callable[[], int],
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Notify only while *replica_count* returns more than one replica.

        The listening connection ends with its *generation*: on a server that is no longer the
        primary it would receive nothing and raise no error.
        """
        self._factory = ConnectionFactory(
            database_url, application="govid wake", command_timeout=COMMAND_SECONDS
        )
        self._generation = generation or ConnectionGeneration()
        self._generation.on_end(self._reconnect)
        self._wakeups = wakeups
        self._replica_count = replica_count
        self._pending: set[str] = set()
        self._changed = asyncio.Event()
        wakeups.forward(self._queue)

    async def run(self) -> None:
        """Listen and notify until cancelled."""
        while True:
            try:
                await self._listen_and_notify()
            except DATABASE_UNAVAILABLE as error:
                log.warning("wake.listener_lost", extra=error_members(error))
                await asyncio.sleep(RESTART_SECONDS)

    async def _listen_and_notify(self) -> None:
        generation = self._generation.number
        connection: Any = await self._factory.connect()
        try:
            await connection.add_listener(CHANNEL, self._on_notification)
            # Notifications that were sent without a listener are lost: every worker has to poll.
            self._wakeups.notify_all()
            while generation == self._generation.number:
                try:
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    if await connection.fetchval(IS_READ_ONLY):
                        self._generation.end()
                    continue
                self._changed.clear()
                if self._pending:
                    await asyncio.sleep(DEBOUNCE_SECONDS)
                    names, self._pending = self._pending, set()
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(names))
        finally:
            connection.terminate()

    def _reconnect(self) -> None:
        self._changed.set()

    def _queue(self, subscribers: Collection[str]) -> None:
        if self._replica_count() > 1:
            self._pending.update(subscribers)
            self._changed.set()

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._wakeups.notify_local(payload.split(","))
