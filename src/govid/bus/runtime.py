"""Builds, starts and stops the bus of one process: all workers that run beside the server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from govid.bus.audit.data_reads import DataReadRecorder
from govid.bus.audit.entries import EntryFactory
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.retention import AuditRetention
from govid.bus.audit.sealer import AuditSealer
from govid.bus.delivery.dispatcher import Dispatcher
from govid.bus.delivery.failures import OutageProbe
from govid.bus.delivery.health import DispatcherHealth
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import RELAY, Subscriptions
from govid.bus.delivery.wakeup import WakeupHub, WakeupNotifier
from govid.bus.events import AuditCheckpointSealed
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.gauges import BusGauges, DatabaseSampler, EventLoopLag, GaugeSources
from govid.bus.kafka.log_topics import LogTopics
from govid.bus.kafka.service import KafkaService
from govid.bus.metrics import BusMetrics, KafkaState
from govid.bus.module import Module
from govid.bus.settings import BusSettings
from govid.bus.shared.clock import Clock
from govid.bus.shared.context import Actor, OperationContext
from govid.bus.shared.privacy import PseudonymGenerator
from govid.bus.storage.database import Database
from govid.bus.storage.retention import RetentionWorker
from govid.bus.storage.transaction import UnitOfWork
from govid.bus.storage.workers import supervise_worker

log = logging.getLogger(__name__)

WORKERS_SECONDS = 5.5
"""How long handlers, relay and inbox may take to stop and to clean up."""
LEASES_SECONDS = 2.5
SEALER_CONTEXT = OperationContext(
    correlation_id="audit.sealer", actor=Actor(kind="module", id="audit")
)


class BusDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What operators see of the bus of one process: states and names, no addresses."""

    relay: str
    """State of the relay's connection to Kafka: "ok", "connecting" or "down"."""
    topics: Mapping[str, str]
    inbox_partitions: Mapping[str, str]
    """State of each partition that this process reads (`topic/0`): "ok", "failing", "stopped"."""
    inbox_lag: Mapping[str, int]
    """Number of unread records of each of them."""
    leases: Mapping[str, int]
    """Number of buckets that this process holds, by subscriber."""
    retention_age_seconds: float
    """The seconds since the last round of retention without an error."""


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
        self.wakeups = WakeupHub()
        self._registry = EventRegistry()
        self._envelope_factory = EnvelopeFactory(
            self._registry, PseudonymGenerator(settings.pseudonym_key)
        )
        self._metrics = BusMetrics(registry)
        self._outage_probe = OutageProbe(self.database, self.wakeups)
        self._sampler = DatabaseSampler(self.database)
        self._loop_lag = EventLoopLag()
        self._retention = RetentionWorker(settings, clock)
        self._audit_retention = AuditRetention(self.database, settings.audit, clock)
        self.dispatcher_health = DispatcherHealth()
        if registry is not None:
            registry.register(BusGauges(self._build_gauge_sources()))
        self._outbox = PostgresOutbox(
            self._envelope_factory,
            EntryFactory.from_settings(settings.audit),
            self.subscriptions,
            self._metrics,
        )
        self._sealer = AuditSealer(
            self.database,
            AuditKeys.from_settings(settings.audit),
            settings.audit.checkpoint_file,
            self._emit_checkpoint,
            self.wakeups.notify,
            self._metrics,
        )
        generation = self.database.generation
        self.uow = UnitOfWork(
            self.database.requests, self._outbox, clock, self.wakeups.notify, generation
        )
        self.data_reads = DataReadRecorder(self.uow)
        self._handlers_uow = UnitOfWork(
            self.database.bus, self._outbox, clock, self.wakeups.notify, generation
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._leases: Leases | None = None
        self._kafka: KafkaService | None = None

    @property
    def log_topics(self) -> LogTopics:
        """The publisher of the gateway's activity and access records."""
        return self._kafka_service.logs

    def add_module(self, module: Module) -> None:
        """Register the subscribers of *module*; only before `start`."""
        for subscriber in module.subscribers:
            self.subscriptions.add(subscriber)

    def on_recovered(self, subscribers: Collection[str], is_certain: bool) -> None:
        """Retry what *subscribers* could not handle while a department was unavailable.

        If it is not certain that the department is available again, one key of each subscriber is
        retried as a probe.
        """
        self._outage_probe.on_recovered(subscribers, is_certain=is_certain)

    async def start(self) -> None:
        """Connect and begin to deliver. An unavailable Kafka does not delay the start.

        Raises:
            OSError, asyncpg.PostgresError: the database cannot be reached.
        """
        await self.database.open_pools()
        names = [*(subscriber.name for subscriber in self.subscriptions), RELAY]
        self._metrics.create_delivery_series(
            (event_type.name for event_type in self._registry.types), names
        )
        leases = self._leases = Leases(
            self.settings,
            names,
            self.wakeups.notify_all,
            self.database.generation,
            self.database.outages,
        )
        self._kafka = KafkaService(
            settings=self.settings,
            database=self.database,
            envelope_factory=self._envelope_factory,
            subscriptions=self.subscriptions,
            outbox=self._outbox,
            leases=leases,
            wakeups=self.wakeups,
            metrics=self._metrics,
        )
        notifier = WakeupNotifier(
            self.settings.database_url,
            self.wakeups,
            lambda: leases.replica_count,
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
                self._registry,
                leases,
                self.wakeups,
                isolation_lock,
                self._metrics,
                self.dispatcher_health,
            )
            self._supervise(subscriber.name, dispatcher.run)
        self._supervise("recovery", self._outage_probe.run)
        self._supervise("loop lag", self._loop_lag.run)
        self._supervise("retention", self._retention.run)
        self._supervise("audit sealer", self._sealer.run)
        self._supervise("audit retention", self._audit_retention.run)
        await self._kafka.start()

    async def stop(self) -> None:
        """Finish deliveries in progress, release the leases and close everything, in at most 10 s.

        Handlers and relay stop first, the leases last. Another replica therefore acquires the
        buckets only after all deliveries of this one have ended. A task that an unresponsive
        database or Kafka keeps from ending in time is abandoned. Another replica then owns its
        lease, so the task changes nothing (I4).
        """
        leases, workers = self._tasks[:1], self._tasks[1:]
        ending = workers[::-1]
        for task in ending:
            task.cancel()
        if self._kafka is not None:
            ending.append(asyncio.create_task(self._kafka.stop()))
        await _await_tasks(ending, WORKERS_SECONDS)
        for task in leases:
            task.cancel()
        await _await_tasks(leases, LEASES_SECONDS)
        self._tasks.clear()
        await self.database.close_pools()

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
            "kafka": self._kafka_service.health_state(),
            "dispatcher": self._dispatcher_state(),
            "topics": self._kafka_service.topics_state,
            "inbox": self._kafka_service.inbox.health_state(),
        }

    def describe(self) -> BusDetails:
        """Return the details behind `health`."""
        kafka, leases = self._kafka, self._leases
        lag = {} if kafka is None else kafka.inbox.lag
        failing = {} if kafka is None else kafka.inbox.failing_partitions
        return BusDetails(
            relay=KafkaState.CONNECTING if kafka is None else kafka.relay_state,
            topics={} if kafka is None else kafka.topics.states,
            inbox_partitions={
                f"{topic}/{partition}": _PARTITION_STATES[failing.get((topic, partition))]
                for topic, partition in sorted({*lag, *failing})
            },
            inbox_lag={f"{topic}/{partition}": lag[topic, partition] for topic, partition in lag},
            leases={} if leases is None else leases.bucket_counts,
            retention_age_seconds=round(self._retention.age_seconds, 1),
        )

    async def _emit_checkpoint(
        self, connection: Any, event: AuditCheckpointSealed, now: datetime
    ) -> Collection[str]:
        return await self._outbox.write(connection, [(event, SEALER_CONTEXT, now)])

    def _dispatcher_state(self) -> str:
        if self._leases is None or not self._leases.is_healthy:
            return "down"
        return "failing" if self.dispatcher_health.is_failing else "ok"

    async def refresh_gauges(self) -> None:
        """Sample the database for the gauges; to be called before each scrape."""
        await self._sampler.refresh()

    def _build_gauge_sources(self) -> GaugeSources:
        return GaugeSources(
            sample=lambda: self._sampler.last,
            loop_lag=lambda: self._loop_lag.worst_seconds,
            failing_seconds=lambda: self.dispatcher_health.failing_seconds,
            retention_age=lambda: self._retention.age_seconds,
            seal_age=lambda: monotonic() - self._sealer.succeeded_at,
            leases=lambda: {} if self._leases is None else self._leases.bucket_counts,
            relay_state=lambda: (
                KafkaState.CONNECTING if self._kafka is None else self._kafka.relay_state
            ),
            inbox_lag=lambda: {} if self._kafka is None else self._kafka.inbox.lag,
            inbox_held_back=lambda: {} if self._kafka is None else self._kafka.inbox.held_back,
            inbox_stopped=lambda: (
                {} if self._kafka is None else self._kafka.inbox.failing_partitions
            ),
            activity_dropped=lambda: 0 if self._kafka is None else self._kafka.logs.dropped_count,
            is_kafka_ahead=lambda: self._kafka is not None and self._kafka.is_ahead,
            topics=lambda: {} if self._kafka is None else self._kafka.topics.count_states,
            topics_created_again=lambda: (
                0 if self._kafka is None else self._kafka.topics.recreated_count
            ),
        )

    @property
    def _kafka_service(self) -> KafkaService:
        if self._kafka is None:
            raise RuntimeError("the bus has not been started")
        return self._kafka

    def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(supervise_worker(name, work), name=f"bus {name}"))


_PARTITION_STATES = {None: "ok", 0: "failing", 1: "stopped"}


async def _await_tasks(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
