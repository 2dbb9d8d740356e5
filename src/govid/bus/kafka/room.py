"""Starts and stops the Kafka clients of a process together. A missing Kafka is never an error."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from govid.bus.consumers import Subscriptions
from govid.bus.envelope import Sealer
from govid.bus.kafka.cleanup import MAX_STOP_SECONDS, silence_aiokafka
from govid.bus.kafka.deadletters import DeadLetters
from govid.bus.kafka.inbox import Inbox
from govid.bus.kafka.intake import Intake
from govid.bus.kafka.logs import LogTopics
from govid.bus.kafka.producer import Producer
from govid.bus.kafka.relay import Relay
from govid.bus.kafka.topics_admin import Topics
from govid.bus.leases import Leases
from govid.bus.metrics import Metrics, State
from govid.bus.outbox import PostgresOutbox
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.supervision import supervise
from govid.bus.wake import Wake

FINISH_SECONDS = 3.0
STOP_SECONDS = MAX_STOP_SECONDS + 0.3
"""Longer than any client takes to stop, even if Kafka does not answer."""


class Kafka:
    """The outbox relay, the inbox and the log topics of one process."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        sealer: Sealer,
        subscriptions: Subscriptions,
        outbox: PostgresOutbox,
        leases: Leases,
        wake: Wake,
        metrics: Metrics | None = None,
    ) -> None:
        """Build all workers; none connects before `start`."""
        metrics = metrics or Metrics()
        self.topics = Topics(settings, database)
        # Separate producers: many log records must not delay the events, and a refused record
        # must not cause the replacement of the producer of the other kind.
        self._event_producer = Producer(settings, "events", self.topics, metrics.rebuilt)
        self._log_producer = Producer(settings, "logs")
        # Foreign records have any size: a refused copy costs a producer that has no other use.
        self._dead_letter_producer = Producer(settings, "dead-letters")
        self.relay = Relay(
            settings, database, leases, wake, self._event_producer, self.topics, metrics
        )
        self.logs = LogTopics(
            settings, database, sealer, outbox, wake, self._log_producer, self.topics
        )
        self.inbox = Inbox(
            settings,
            database,
            Intake(sealer, settings.kafka_generation),
            subscriptions,
            outbox,
            wake,
            self.topics,
            DeadLetters(self._dead_letter_producer),
            metrics,
        )
        self._relay_task: asyncio.Task[None] | None = None
        self._logs_task: asyncio.Task[None] | None = None
        self._other_tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all workers and return at once, even if Kafka does not answer."""
        silence_aiokafka()
        self._relay_task = _task("relay", self.relay.run)
        self._logs_task = _task("logs", self.logs.run)
        self._other_tasks = [
            _task("inbox", self.inbox.run),
            _task("events", self._event_producer.run),
            _task("records", self._log_producer.run),
            _task("dead letters", self._dead_letter_producer.run),
        ]

    async def stop(self) -> None:
        """Finish what is in flight, and stop: at most 5 seconds."""
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

    def health(self) -> str:
        """Return the state of Kafka: "ok", "down", "connecting", or "ahead" of the database.

        It is also "connecting" if Kafka answers but its records have not yet been compared with the
        database: nothing is published before that.
        """
        state = max(self._event_producer.state, self._log_producer.state, key=_SEVERITY.index)
        if state is State.OK and self.relay.guard.is_undecided:
            state = State.CONNECTING
        return "ahead" if state is State.OK and self.is_ahead else state.value

    @property
    def is_ahead(self) -> bool:
        """Whether nothing is published because Kafka holds events unknown to the database."""
        return bool(self.relay.guard.ahead)

    @property
    def relay_state(self) -> State:
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


_SEVERITY = (State.OK, State.CONNECTING, State.DOWN)


def _task(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(supervise(f"kafka {name}", work), name=f"kafka {name}")
