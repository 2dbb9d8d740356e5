"""Manages one aiokafka producer at a time and replaces it whenever its state is unknown.

An idempotent producer numbers its batches. After one of them failed permanently, or has an unknown
outcome, all later batches of that partition are refused for ever (aiokafka issue 1017). So nothing
is sent again on such a producer: it is closed, and a new one sends from the first record that was
not acknowledged. Records may then arrive twice, with the same id.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from govid.bus.kafka.client_lifecycle import start_client, stop_client
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topics import TopicRegistry
from govid.bus.metrics import KafkaState
from govid.bus.settings import BusSettings
from govid.bus.storage.errors import error_class_name
from govid.bus.storage.workers import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_SECONDS = 4.0
START_SECONDS = 10.0
PROBE_SECONDS = 2.0
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)
BATCH_BYTES = 256 * 1024

KAFKA_UNAVAILABLE = (KafkaError, *DATABASE_UNAVAILABLE)
"""Errors while connecting: Kafka, or the database with the topics, is unavailable."""


class ManagedProducer:
    """Owns an `AIOKafkaProducer` and keeps one connected while Kafka answers."""

    def __init__(
        self,
        settings: BusSettings,
        clients: KafkaClientFactory,
        purpose: str,
        topics: TopicRegistry | None = None,
        on_rebuilt: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        """Create no connection before `run`.

        *topics* checks the topics with each new producer before it may be used. *on_rebuilt* is
        called with the reason when a producer is replaced.
        """
        self.state = KafkaState.CONNECTING
        self.rebuild_count = 0
        self._settings = settings
        self._clients = clients
        self._purpose = purpose
        self._topics = topics
        self._on_rebuilt = on_rebuilt
        self._current: AIOKafkaProducer | None = None
        self._ready = asyncio.Event()
        self._needs_replacement = asyncio.Event()

    @property
    def current(self) -> AIOKafkaProducer | None:
        """The producer to use now; None while Kafka is unavailable."""
        return self._current if self._ready.is_set() else None

    async def wait_until_ready(self) -> AIOKafkaProducer:
        """Wait for Kafka without a limit, and return the producer to use."""
        while (producer := self.current) is None:
            await self._ready.wait()
        return producer

    def replace(self, producer: AIOKafkaProducer, reason: str) -> None:
        """Replace *producer*, unless that has happened already."""
        if producer is self._current and not self._needs_replacement.is_set():
            self.rebuild_count += 1
            self._on_rebuilt(reason)
            self._ready.clear()
            self._needs_replacement.set()
            log.info("kafka.producer_replaced", extra={"purpose": self._purpose, "reason": reason})

    async def run(self) -> None:
        """Connect, probe and reconnect until cancelled."""
        failures = 0
        while True:
            producer = await self._connect()
            if producer is None:
                self._set_state(KafkaState.DOWN)
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                await asyncio.sleep(max(pause, self._clients.retry_seconds))
                failures += 1
                continue
            failures = 0
            try:
                self._needs_replacement.clear()
                self._current = producer
                self._set_state(KafkaState.OK)
                self._ready.set()
                await self._watch_connection(producer)
            finally:
                self._ready.clear()
                self._current = None
                await asyncio.shield(stop_client(producer))

    async def _connect(self) -> AIOKafkaProducer | None:
        producer = self._clients.create_producer(
            client_id=f"{self._settings.kafka_client_id}-{self._purpose}",
            enable_idempotence=True,
            acks="all",
            # Batches are built by the caller and sent as they are, so lingering gains nothing.
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(REQUEST_TIMEOUT_SECONDS * 1000),
            metadata_max_age_ms=30_000,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await start_client(producer)
                if self._topics is not None:
                    await self._topics.check_topics(producer)
        except KAFKA_UNAVAILABLE as error:
            log.debug("kafka.not_connected", extra={"error_class": error_class_name(error)})
            await stop_client(producer)
            return None
        except BaseException:
            await asyncio.shield(stop_client(producer))
            raise
        return producer

    async def _watch_connection(self, producer: AIOKafkaProducer) -> None:
        """Probe Kafka through *producer*, and return when it has to be replaced."""
        while not self._needs_replacement.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._needs_replacement.wait()
                return
            if not self._clients.has_current_credentials(producer):
                self.replace(producer, "credentials_changed")
                return
            alive = await self._probe(producer)
            if self._needs_replacement.is_set():
                return
            self._set_state(KafkaState.OK if alive else KafkaState.DOWN)
            if alive:
                self._ready.set()
            else:
                self._ready.clear()

    async def _probe(self, producer: AIOKafkaProducer) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                alive = bool(await producer.client.force_metadata_update())
        except KAFKA_UNAVAILABLE:
            return False
        if alive and self._topics is not None:
            try:
                # Creating a topic again takes longer than the timeout of a probe.
                async with asyncio.timeout(START_SECONDS):
                    await self._topics.check_if_due(producer)
            except KAFKA_UNAVAILABLE as error:
                log.info("kafka.topics_not_seen", extra={"error_class": error_class_name(error)})
        return alive

    def _set_state(self, state: KafkaState) -> None:
        if state is not self.state:
            # Several producers see the same outage: only the one that checks the topics logs it.
            own_level = logging.WARNING if state is KafkaState.DOWN else logging.INFO
            level = logging.DEBUG if self._topics is None else own_level
            log.log(level, "kafka.%s", state.value, extra={"purpose": self._purpose})
        self.state = state
