"""Publishes request activity and access decisions to the log topics, without a row per request.

Records are sent in batches: every 50 ms or 400 records. Activity is published at most once: records
that are dropped because of overload or an outage are counted. Access decisions survive an outage: a
batch that Kafka has not acknowledged within a second is stored in the outbox with the same ids, and
the relay publishes it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer

from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events import AccessDecided, Event, RequestFinished, RequestReceived, Topic
from govid.bus.events.envelope import EnvelopeFactory, EventEnvelope
from govid.bus.kafka import cloudevents
from govid.bus.kafka.producer import ManagedProducer
from govid.bus.kafka.topics import TopicRegistry
from govid.bus.settings import BusSettings
from govid.bus.shared.context import Actor, OperationContext
from govid.bus.shared.ids import uuid7
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class_name

log = logging.getLogger(__name__)


PERIOD_SECONDS = 0.05
ACK_SECONDS = 1.0
BATCH_RECORDS = 400
"""Number of waiting records that are sent before the period ends."""
MAX_WAITING = 20_000
"""Maximum number of waiting records, about 20 MB."""
MAX_IN_FLIGHT = 4

LOG_RECORD_TYPES: dict[type[Event], str] = {
    RequestReceived: "gateway.request.received",
    RequestFinished: "gateway.request.finished",
    AccessDecided: "gateway.access.decided",
}
"""Types of log records. They are named like events, but most are never in the outbox."""

_encode = msgspec.json.Encoder().encode


class LogEntry(NamedTuple):
    """A log event in a batch, with its record id."""

    id: UUID
    event: Any


class LogTopicPublisher:
    """Publishes enqueued events without order; passes unacknowledged ones to *on_unsent*."""

    def __init__(
        self,
        topic: str,
        producer: ManagedProducer,
        topics: TopicRegistry,
        on_unsent: Callable[[Sequence[LogEntry]], Awaitable[None]],
    ) -> None:
        """Send to *topic*, its name in Kafka."""
        self.overflow_count = 0
        self._topic = topic
        self._producer = producer
        self._topics = topics
        self._on_unsent = on_unsent
        self._waiting: list[Any] = []
        self._has_entries = asyncio.Event()
        self._is_batch_full = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()
        self._finishing = False

    def enqueue(self, event: Event) -> None:
        """Enqueue *event*, or count it as dropped if too many are waiting."""
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING:
            self.overflow_count += 1
            return
        waiting.append(event)
        if len(waiting) == 1:
            self._has_entries.set()
        elif len(waiting) == BATCH_RECORDS:
            self._is_batch_full.set()

    def finish(self) -> None:
        """Ask `run` to send the waiting records and return."""
        self._finishing = True
        self._has_entries.set()
        self._is_batch_full.set()

    async def run(self) -> None:
        """Send batches until `finish`."""
        while not self._finishing:
            await self._has_entries.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._is_batch_full.wait()
            await self._flush()
        while self._waiting:
            await self._flush()
        if self._batches:
            await asyncio.wait(self._batches)

    async def _flush(self) -> None:
        while len(self._batches) >= MAX_IN_FLIGHT:
            await asyncio.wait(self._batches, return_when=asyncio.FIRST_COMPLETED)
        events, self._waiting = self._waiting[:BATCH_RECORDS], self._waiting[BATCH_RECORDS:]
        self._is_batch_full.clear()
        if len(self._waiting) >= BATCH_RECORDS or self._finishing:
            self._is_batch_full.set()
        if not self._waiting and not self._finishing:
            self._has_entries.clear()
        if not events:
            return
        task = asyncio.create_task(self._send([LogEntry(uuid7(), event) for event in events]))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _send(self, entries: list[LogEntry]) -> None:
        producer = self._producer.current
        partitions = self._topics.partition_count(self._topic)
        if producer is None or not partitions:
            await self._on_unsent(entries)
            return
        try:
            async with asyncio.timeout(ACK_SECONDS):
                await self._deliver(producer, entries, partitions)
        except Exception as error:  # noqa: BLE001 - after any error the batch is unacknowledged
            self._producer.replace(producer, error_class_name(error))
            await self._on_unsent(entries)

    async def _deliver(
        self, producer: AIOKafkaProducer, entries: list[LogEntry], partitions: int
    ) -> None:
        batches: list[Any] = []
        for entry in entries:
            if not batches or not _append(batches[-1], entry):
                batches.append(producer.create_batch())
                _append(batches[-1], entry)
        for batch in batches:
            batch.close()
            future = await producer.send_batch(
                batch,
                self._topic,
                partition=random.randrange(partitions),  # noqa: S311 - not a secret
            )
            await future


def _append(batch: Any, entry: LogEntry) -> bool:
    event = entry.event
    headers = cloudevents.build_headers(
        event_id=entry.id,
        type_name=LOG_RECORD_TYPES[type(event)],
        version=1,
        occurred_at=event.timestamp,
        correlation_id=event.correlation_id,
    )
    fits = batch.append(timestamp=None, key=None, value=_encode(event), headers=headers)
    return fits is not None


STORE_PAUSE_SECONDS = 0.5
STORE_ROWS = 500


class LogTopics:
    """Publishes the log records of the HTTP edge. Enqueueing one takes about a microsecond."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        envelope_factory: EnvelopeFactory,
        outbox: PostgresOutbox,
        wakeups: WakeupHub,
        producer: ManagedProducer,
        topics: TopicRegistry,
    ) -> None:
        """Send through *producer*; access decisions that it cannot send go to *outbox*."""
        self._database = database
        self._envelope_factory = envelope_factory
        self._outbox = outbox
        self._wakeups = wakeups
        self._activity = LogTopicPublisher(
            settings.wire_name(Topic.ACTIVITY), producer, topics, self._drop
        )
        self._access = LogTopicPublisher(
            settings.wire_name(Topic.ACCESS), producer, topics, self._store
        )
        self._dropped = 0

    @property
    def dropped_count(self) -> int:
        """Number of dropped records."""
        return self._dropped + self._activity.overflow_count + self._access.overflow_count

    def publish_activity(self, event: RequestReceived | RequestFinished) -> None:
        """Publish *event*, unless overload or an outage prevents it."""
        self._activity.enqueue(event)

    def publish_access(self, event: AccessDecided) -> None:
        """Publish *event*, now or by the outbox relay once Kafka is back."""
        self._access.enqueue(event)

    async def run(self) -> None:
        """Send enqueued records until `finish`."""
        await asyncio.gather(self._activity.run(), self._access.run())

    def finish(self) -> None:
        """Ask `run` to send the enqueued records and return."""
        self._activity.finish()
        self._access.finish()

    async def _drop(self, entries: Sequence[LogEntry]) -> None:
        self._dropped += len(entries)

    async def _store(self, entries: Sequence[LogEntry]) -> None:
        envelopes = [self._build_envelope(entry) for entry in entries]
        while envelopes:
            batch, rest = envelopes[:STORE_ROWS], envelopes[STORE_ROWS:]
            try:
                async with (
                    self._database.bus_reads.acquire() as connection,
                    connection.transaction(),
                ):
                    await self._outbox.store(connection, batch, lambda _: [RELAY])
            except Exception as error:  # noqa: BLE001 - retried until the database is back
                log.warning("logs.not_stored", extra={"error_class": error_class_name(error)})
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                envelopes = rest
                self._wakeups.notify([RELAY])

    def _build_envelope(self, entry: LogEntry) -> EventEnvelope:
        event = entry.event
        account = getattr(event, "user_id", None)
        context = OperationContext(
            correlation_id=event.correlation_id,
            actor=Actor(kind="account" if account else "anonymous", id=account),
        )
        # Keep the id that Kafka may have seen already, so that consumers recognise the duplicate.
        return msgspec.structs.replace(
            self._envelope_factory.build(event, context, event.timestamp), id=entry.id
        )
