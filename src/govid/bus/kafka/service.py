"""Starts and stops the Kafka clients of a process together. A missing Kafka is never an error."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from govid.bus.delivery.leases import Leases
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import Subscriptions
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.kafka.client_lifecycle import MAX_STOP_SECONDS, silence_client_logs
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.inbound_records import DeadLetterPublisher, InboundRecordParser
from govid.bus.kafka.inbox import InboxConsumer
from govid.bus.kafka.log_topics import LogTopics
from govid.bus.kafka.outage import OutageReporter
from govid.bus.kafka.producer import ManagedProducer
from govid.bus.kafka.relay import OutboxRelay
from govid.bus.kafka.topics import TopicRegistry
from govid.bus.metrics import BusMetrics, KafkaState
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.workers import supervise_worker

FINISH_SECONDS = 3.0
STOP_SECONDS = MAX_STOP_SECONDS + 0.3
"""Longer than any client takes to stop, even if Kafka does not answer."""


class KafkaService:
    """The outbox relay, the inbox and the log topics of one process."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        envelope_factory: EnvelopeFactory,
        subscriptions: Subscriptions,
        outbox: PostgresOutbox,
        leases: Leases,
        wakeups: WakeupHub,
        metrics: BusMetrics | None = None,
    ) -> None:
        """Build all workers; none connects before `start`."""
        metrics = metrics or BusMetrics()
        clients = self._clients = KafkaClientFactory.from_settings(settings)
        self.topics = TopicRegistry(settings, clients, database)
        # Separate producers: many log records must not delay the events, and a refused record
        # must not cause the replacement of the producer of the other kind.
        self._event_producer = ManagedProducer(
            settings, clients, "events", self.topics, metrics.count_producer_rebuild
        )
        self._log_producer = ManagedProducer(settings, clients, "logs")
        # Foreign records have any size: a refused copy costs a producer that has no other use.
        self._dead_letter_producer = ManagedProducer(settings, clients, "dead-letters")
        self.relay = OutboxRelay(
            settings, clients, database, leases, wakeups, self._event_producer, self.topics, metrics
        )
        self.logs = LogTopics(
            settings, database, envelope_factory, outbox, wakeups, self._log_producer, self.topics
        )
        self.inbox = InboxConsumer(
            settings,
            clients,
            database,
            InboundRecordParser(envelope_factory, settings.kafka_generation),
            subscriptions,
            outbox,
            wakeups,
            self.topics,
            DeadLetterPublisher(self._dead_letter_producer),
            metrics,
        )
        self._outages = OutageReporter(
            clients, lambda: self._event_producer.state is KafkaState.DOWN
        )
        self._relay_task: asyncio.Task[None] | None = None
        self._logs_task: asyncio.Task[None] | None = None
        self._other_tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all workers and return at once, even if Kafka does not answer."""
        silence_client_logs()
        self._clients.start_watching()
        self._relay_task = _start_task("relay", self.relay.run)
        self._logs_task = _start_task("logs", self.logs.run)
        self._other_tasks = [
            _start_task("inbox", self.inbox.run),
            _start_task("events", self._event_producer.run),
            _start_task("outage reports", self._outages.run),
            _start_task("records", self._log_producer.run),
            _start_task("dead letters", self._dead_letter_producer.run),
        ]

    async def stop(self) -> None:
        """Finish what is in flight, and stop: at most 5 seconds."""
        self._clients.stop_watching()
        self.relay.finish()
        self.logs.finish()
        finishing = [task for task in (self._relay_task, self._logs_task) if task is not None]
        if finishing:
            await asyncio.wait(finishing, timeout=FINISH_SECONDS)
        tasks = finishing + self._other_tasks
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    def health_state(self) -> str:
        """Return the state of Kafka: "ok", "down", "connecting", or "ahead" of the database.

        It is also "connecting" if Kafka answers but its records have not yet been compared with the
        database: nothing is published before that.
        """
        state = max(self._event_producer.state, self._log_producer.state, key=_SEVERITY.index)
        if state is KafkaState.OK and self.relay.ahead_guard.is_undecided:
            state = KafkaState.CONNECTING
        return "ahead" if state is KafkaState.OK and self.is_ahead else state.value

    @property
    def is_ahead(self) -> bool:
        """Whether nothing is published because Kafka holds events unknown to the database."""
        return bool(self.relay.ahead_guard.ahead_partitions)

    @property
    def relay_state(self) -> KafkaState:
        """Connection state of the relay's producer."""
        return self._event_producer.state

    @property
    def mismatches(self) -> Mapping[str, tuple[int, int]]:
        """Topics whose number of partitions has changed since they were first seen."""
        return self.topics.mismatches

    @property
    def topics_state(self) -> str:
        """The state of the topics: "ok", "changed" or "missing"."""
        if self.topics.missing:
            return "missing"
        return "changed" if self.topics.mismatches else "ok"


_SEVERITY = (KafkaState.OK, KafkaState.CONNECTING, KafkaState.DOWN)


def _start_task(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(supervise_worker(f"kafka {name}", work), name=f"kafka {name}")
