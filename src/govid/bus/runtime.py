"""Builds, starts and stops the bus of one process: all workers that run beside the server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from prometheus_client import CollectorRegistry

from govid.bus.catalogue import Catalogue
from govid.bus.clock import Clock
from govid.bus.consumers import RELAY, Subscriptions
from govid.bus.dispatcher import Dispatcher
from govid.bus.envelope import Sealer
from govid.bus.gauges import Gauges, Readings
from govid.bus.kafka.logs import LogTopics
from govid.bus.kafka.room import Kafka
from govid.bus.lag import LoopLag
from govid.bus.leases import Leases
from govid.bus.metrics import Metrics, State
from govid.bus.module import Module
from govid.bus.outbox import PostgresOutbox
from govid.bus.pseudonyms import Pseudonyms
from govid.bus.recovery import Recovery
from govid.bus.retention import Retention
from govid.bus.round_health import RoundHealth
from govid.bus.sample import Sampler
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.supervision import supervise
from govid.bus.storage.transaction import UnitOfWork
from govid.bus.wake import Notifier, Wake

log = logging.getLogger(__name__)

WORKERS_SECONDS = 5.5
"""How long handlers, relay and inbox may take to stop and to clean up."""
LEASES_SECONDS = 2.5


class Bus:
    """Durable delivery for one process: the outbox, its workers and the Kafka service."""

    def __init__(
        self, settings: BusSettings, clock: Clock, registry: CollectorRegistry | None = None
    ) -> None:
        """Build all parts, with their metrics on *registry*; nothing connects before `start`."""
        self.settings = settings
        self.clock = clock
        self.database = Database(settings)
        self.subscriptions = Subscriptions()
        self.wake = Wake()
        self._catalogue = Catalogue()
        self._sealer = Sealer(self._catalogue, Pseudonyms(settings.pseudonym_key))
        self._metrics = Metrics(registry)
        self._recovery = Recovery(self.database, self.wake)
        self._sampler = Sampler(self.database)
        self._loop_lag = LoopLag()
        self._retention = Retention(settings, clock)
        self.rounds = RoundHealth()
        if registry is not None:
            registry.register(Gauges(self._readings()))
        self._outbox = PostgresOutbox(self._sealer, self.subscriptions, self._metrics)
        generation = self.database.generation
        self.uow = UnitOfWork(
            self.database.requests, self._outbox, clock, self.wake.ring, generation
        )
        self._handlers_uow = UnitOfWork(
            self.database.bus, self._outbox, clock, self.wake.ring, generation
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._leases: Leases | None = None
        self._kafka: Kafka | None = None

    @property
    def logs(self) -> LogTopics:
        """The publisher of the gateway's activity and access records."""
        return self._kafka_service.logs

    def add(self, module: Module) -> None:
        """Register the subscribers of *module*; only before `start`."""
        for subscriber in module.consumers:
            self.subscriptions.add(subscriber)

    def recovered(self, subscribers: Collection[str], surely: bool) -> None:
        """Retry what *subscribers* could not handle while a department was unavailable.

        If it is not certain that the department is available again, one key of each subscriber is
        retried as a probe.
        """
        self._recovery.tell(subscribers, surely=surely)

    async def start(self) -> None:
        """Connect and begin to deliver. An unavailable Kafka does not delay the start.

        Raises:
            OSError, asyncpg.PostgresError: the database cannot be reached.
        """
        await self.database.open()
        names = [*(subscriber.name for subscriber in self.subscriptions), RELAY]
        self._metrics.expect((kind.name for kind in self._catalogue.types), names)
        leases = self._leases = Leases(
            self.settings, names, self.wake.ring_all, self.database.generation
        )
        self._kafka = Kafka(
            settings=self.settings,
            database=self.database,
            sealer=self._sealer,
            subscriptions=self.subscriptions,
            outbox=self._outbox,
            leases=leases,
            wake=self.wake,
            metrics=self._metrics,
        )
        notifier = Notifier(
            self.settings.database_url,
            self.wake,
            lambda: leases.replicas,
            self.database.generation,
        )
        self._supervise("leases", leases.run)
        self._supervise("wake", notifier.run)
        isolation_lock = asyncio.Lock()
        for subscriber in self.subscriptions:
            dispatcher = Dispatcher(
                subscriber,
                self.settings,
                self.database,
                self._handlers_uow,
                self._catalogue,
                leases,
                self.wake,
                isolation_lock,
                self._metrics,
                self.rounds,
            )
            self._supervise(subscriber.name, dispatcher.run)
        self._supervise("recovery", self._recovery.run)
        self._supervise("loop lag", self._loop_lag.run)
        self._supervise("retention", self._retention.run)
        await self._kafka.start()

    async def stop(self) -> None:
        """Finish deliveries in progress, release the leases and close everything, in at most 10 s.

        Handlers and relay stop first, the leases last. So another replica gets the buckets when no
        delivery of this one is in progress. A task that an unresponsive database or Kafka keeps
        from ending in time is abandoned. Another replica then owns its lease, so the task changes
        nothing (I4).
        """
        leases, workers = self._tasks[:1], self._tasks[1:]
        ending = workers[::-1]
        for task in ending:
            task.cancel()
        if self._kafka is not None:
            ending.append(asyncio.create_task(self._kafka.stop()))
        await _wait(ending, WORKERS_SECONDS)
        for task in leases:
            task.cancel()
        await _wait(leases, LEASES_SECONDS)
        self._tasks.clear()
        await self.database.close()

    def health(self) -> dict[str, str]:
        """Return the state of each dependency of the bus: "ok", "connecting" or "down".

        `kafka` is "ahead" while the relay waits because Kafka has events that the database lacks.
        `topics` is "missing" if a topic is missing and could not be created again, and "changed" if
        one has another number of partitions than the relay uses. `inbox` is also "failing" or
        "stopped" if one of its partitions is.
        """
        if self._leases is None:
            return {"kafka": "connecting", "dispatcher": "connecting", "inbox": "connecting"}
        return {
            "kafka": self._kafka_service.health(),
            "dispatcher": self._dispatcher_state(),
            "topics": self._kafka_service.topics_state,
            "inbox": self._kafka_service.inbox.health(),
        }

    def _dispatcher_state(self) -> str:
        if self._leases is None or not self._leases.healthy:
            return "down"
        return "failing" if self.rounds.is_failing else "ok"

    async def measure(self) -> None:
        """Sample the database for the gauges; to be called before each scrape."""
        await self._sampler.refresh()

    def _readings(self) -> Readings:
        return Readings(
            sample=lambda: self._sampler.last,
            loop_lag=lambda: self._loop_lag.worst,
            failing_seconds=lambda: self.rounds.seconds,
            retention_age=lambda: self._retention.age_seconds,
            leases=lambda: {} if self._leases is None else self._leases.held,
            relay_state=lambda: (
                State.CONNECTING if self._kafka is None else self._kafka.relay_state
            ),
            inbox_lag=lambda: {} if self._kafka is None else self._kafka.inbox.lag,
            inbox_held_back=lambda: {} if self._kafka is None else self._kafka.inbox.held_back,
            inbox_stopped=lambda: {} if self._kafka is None else self._kafka.inbox.stopped,
            activity_dropped=lambda: 0 if self._kafka is None else self._kafka.logs.dropped,
            is_kafka_ahead=lambda: self._kafka is not None and self._kafka.is_ahead,
            topics=lambda: {} if self._kafka is None else self._kafka.topics.states,
            topics_created_again=lambda: (
                0 if self._kafka is None else self._kafka.topics.created_again
            ),
        )

    @property
    def _kafka_service(self) -> Kafka:
        if self._kafka is None:
            raise RuntimeError("the bus has not been started")
        return self._kafka

    def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(supervise(name, work), name=f"bus {name}"))


async def _wait(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
