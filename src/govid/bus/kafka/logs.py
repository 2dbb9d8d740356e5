"""Publishes request activity and access decisions to the log topics, without a row per request.

Activity is published at most once: what overload or an outage drops is counted. Access decisions
survive an outage: a batch that Kafka has not acknowledged within a second is stored in the outbox
with the same ids, and the relay publishes it.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from govid.bus.actor import Actor, OperationContext
from govid.bus.consumers import RELAY
from govid.bus.contracts import AccessDecided, RequestFinished, RequestReceived, Topic
from govid.bus.envelope import EnvelopeFactory, EventEnvelope
from govid.bus.kafka.logstream import LogEntry, LogTopicPublisher
from govid.bus.kafka.producer import ManagedProducer
from govid.bus.kafka.topics_admin import TopicRegistry
from govid.bus.outbox import PostgresOutbox
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class
from govid.bus.wake import WakeupHub

log = logging.getLogger(__name__)

STORE_PAUSE_SECONDS = 0.5
STORE_ROWS = 500


class LogTopics:
    """Publishes the log records of the HTTP edge. Enqueueing one takes about a microsecond."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        sealer: EnvelopeFactory,
        outbox: PostgresOutbox,
        wake: WakeupHub,
        producer: ManagedProducer,
        topics: TopicRegistry,
    ) -> None:
        """Send through *producer*; access decisions that it cannot send go to *outbox*."""
        self._database = database
        self._sealer = sealer
        self._outbox = outbox
        self._wake = wake
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
                log.warning("logs.not_stored", extra={"error_class": error_class(error)})
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                envelopes = rest
                self._wake.notify([RELAY])

    def _build_envelope(self, entry: LogEntry) -> EventEnvelope:
        event = entry.event
        account = getattr(event, "user_id", None)
        cause = OperationContext(
            correlation_id=event.correlation_id,
            actor=Actor(kind="account" if account else "anonymous", id=account),
        )
        # Keep the id that Kafka may have seen already, so that consumers recognise the duplicate.
        return msgspec.structs.replace(
            self._sealer.build(event, cause, event.timestamp), id=entry.id
        )
