"""All that speaks to Kafka, started and stopped as one. It never fails for want of Kafka."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from govid.bus.consumers import Subscriptions
from govid.bus.envelope import Sealer
from govid.bus.kafka.cleanup import LONGEST_SECONDS, silence_aiokafka
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
STOP_SECONDS = LONGEST_SECONDS + 0.3
"""Longer than any part of it takes to stop, whatever Kafka does."""


class Kafka:
    """The relay, the inbox and the log topics of one process."""

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
        """Build everything; nothing connects before `start`."""
        metrics = metrics or Metrics()
        self.topics = Topics(settings, database)
        # Two producers: a flood of log records must not stand before the events, and a refused
        # record must not take the other kind's producer with it.
        self._events = Producer(settings, "events", self.topics, metrics.rebuilt)
        self._records = Producer(settings, "logs")
        # Records of others are of any size: a refused copy costs a producer that nothing else uses.
        self._copies = Producer(settings, "dead-letters")
        self.relay = Relay(settings, database, leases, wake, self._events, self.topics, metrics)
        self.logs = LogTopics(settings, database, sealer, outbox, wake, self._records, self.topics)
        self.inbox = Inbox(
            settings,
            database,
            Intake(sealer, settings.kafka_generation),
            subscriptions,
            outbox,
            wake,
            self.topics,
            DeadLetters(self._copies),
            metrics,
        )
        self._relaying: asyncio.Task[None] | None = None
        self._logging: asyncio.Task[None] | None = None
        self._others: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start everything; return at once, whether Kafka answers or not."""
        silence_aiokafka()
        self._relaying = _task("relay", self.relay.run)
        self._logging = _task("logs", self.logs.run)
        self._others = [
            _task("inbox", self.inbox.run),
            _task("events", self._events.run),
            _task("records", self._records.run),
            _task("dead letters", self._copies.run),
        ]

    async def stop(self) -> None:
        """Finish what is under way, and stop: 5 seconds at most."""
        self.relay.finish()
        self.logs.finish()
        finishing = [task for task in (self._relaying, self._logging) if task is not None]
        if finishing:
            await asyncio.wait(finishing, timeout=FINISH_SECONDS)
        everything = finishing + self._others
        for task in everything:
            task.cancel()
        if everything:
            await asyncio.wait(everything, timeout=STOP_SECONDS)

    def health(self) -> str:
        """What is known of Kafka: "ok", "down", "connecting", or "ahead" of the database.

        "connecting" also where Kafka answers, and its records have not been compared with the
        database: nothing is published until they have been.
        """
        state = max(self._events.state, self._records.state, key=_GRAVITY.index)
        if state is State.OK and self.relay.guard.is_undecided:
            state = State.CONNECTING
        return "ahead" if state is State.OK and self.is_ahead else state.value

    @property
    def is_ahead(self) -> bool:
        """Whether nothing is published because Kafka knows what the database does not."""
        return bool(self.relay.guard.ahead)

    @property
    def relay_state(self) -> State:
        """What the relay knows of Kafka."""
        return self._events.state

    @property
    def mismatches(self) -> Mapping[str, tuple[int, int]]:
        """Topics whose number of partitions has changed since it was first seen."""
        return self.topics.mismatches

    @property
    def topics_state(self) -> str:
        """What is known of the topics: "ok", "changed" or "missing"."""
        if self.topics.missing:
            return "missing"
        return "changed" if self.topics.mismatches else "ok"


_GRAVITY = (State.OK, State.CONNECTING, State.DOWN)


def _task(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(supervise(f"kafka {name}", work), name=f"kafka {name}")
