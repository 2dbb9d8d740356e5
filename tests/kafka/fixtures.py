"""The Kafka service of one replica on real backends, and a reader of what it published."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from govid.bus import (
    BusSettings,
    Database,
    OperationContext,
    PseudonymGenerator,
    Subscriber,
    Subscriptions,
    SystemClock,
    UnitOfWork,
)
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events import (
    DeathNotified,
    Event,
    IdentifierType,
    Topic,
    VerificationCompleted,
    VerificationRequested,
)
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.service import KafkaService
from govid.bus.metrics import BusMetrics
from tests.audit_entries import entry_factory

CONTEXT = OperationContext(correlation_id="test")
DEADLINE_SECONDS = 40
MODULE = "tests.module"


class IdleHandler:
    """A handler that is never called: there is no dispatcher here."""

    async def prepare(self, delivery: Any) -> None: ...

    async def apply(self, tx: Any, delivery: Any, outcome: Any) -> None: ...


class KafkaFixture:
    """One replica without dispatchers: inbound events stay pending deliveries."""

    def __init__(self, settings: BusSettings, database: Database) -> None:
        self.settings = settings
        self.clients = KafkaClientFactory.from_settings(settings)
        self.database = database
        self.wake = WakeupHub()
        self.subscriptions = Subscriptions()
        self.subscriptions.add(
            Subscriber(
                name=MODULE, handles=(VerificationCompleted, DeathNotified), handler=IdleHandler()
            )
        )
        self.sealer = EnvelopeFactory(EventRegistry(), PseudonymGenerator(settings.pseudonym_key))
        self.registry = CollectorRegistry()
        metrics = BusMetrics(self.registry)
        self.outbox = PostgresOutbox(self.sealer, entry_factory(), self.subscriptions, metrics)
        self.uow = UnitOfWork(database.requests, self.outbox, SystemClock(), self.wake.notify)
        self.leases = Leases(settings, [RELAY], self.wake.notify_all)
        self.kafka = KafkaService(
            settings=settings,
            database=database,
            envelope_factory=self.sealer,
            subscriptions=self.subscriptions,
            outbox=self.outbox,
            leases=self.leases,
            wakeups=self.wake,
            metrics=metrics,
        )

    @asynccontextmanager
    async def run(self) -> AsyncIterator["KafkaFixture"]:
        """Run leases and the Kafka service for the length of the block."""
        leasing = asyncio.create_task(self.leases.run())
        await self.kafka.start()
        try:
            yield self
        finally:
            await self.kafka.stop()
            leasing.cancel()
            await asyncio.wait([leasing])

    async def emit(self, *events: Event, context: OperationContext = CONTEXT) -> None:
        """Publish *events* in one transaction."""
        async with self.uow.begin(context) as tx:
            for event in events:
                tx.emit(event)

    async def count(self, table: str, where: str = "true") -> int:
        """Count rows of a table of the bus."""
        query = f"SELECT count(*) FROM bus.{table} WHERE {where}"  # noqa: S608
        return int(await self.database.reads.fetchval(query))

    async def holds(self, table: str, count: int, where: str = "true") -> bool:
        """Tell whether a table of the bus has *count* rows."""
        return await self.count(table, where) == count

    async def wait_until_drained(self) -> None:
        """Wait until the relay has no pending delivery."""
        await wait_until(self._has_nothing_pending)

    async def _has_nothing_pending(self) -> bool:
        return await self.count("delivery", f"subscriber = '{RELAY}'") == 0

    async def wait_until_healthy(self) -> None:
        """Wait until Kafka answers."""
        await wait_until(self._ok)

    async def _ok(self) -> bool:
        return self.kafka.health_state() == "ok"

    def wire_name(self, topic: Topic) -> str:
        """Return what *topic* is called in this test."""
        return self.settings.wire_name(topic)

    async def read(self, topic: Topic | str, count: int) -> list[Any]:
        """Return the first *count* records of *topic*, read from its beginning."""
        name = self.wire_name(topic) if isinstance(topic, Topic) else topic
        return await read(KafkaClientFactory.from_settings(self.settings), name, count)

    @asynccontextmanager
    async def external_producer(
        self, max_request_size: int = 1_000_000
    ) -> AsyncIterator[AIOKafkaProducer]:
        """Yield a producer that knows nothing of govid."""
        clients = KafkaClientFactory.from_settings(self.settings)
        producer = clients.create_producer(max_request_size=max_request_size)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()


async def read(clients: KafkaClientFactory, name: str, count: int) -> list[Any]:
    """Return the first *count* records of the topic called *name*."""
    consumer = clients.create_consumer(auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.subscribe([name])
    records: list[Any] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await consumer.start()
            while len(records) < count:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
    finally:
        await consumer.stop()
    return records


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *condition* holds; fail at the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


def a_request(account: UUID, label: str = "c-1") -> VerificationRequested:
    return VerificationRequested(
        user_id=account,
        identifier_type=IdentifierType.NHS,
        identifier_value="NHS123456789",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id=label,
    )


def header(record: Any, name: str) -> str | None:
    """Return the header called *name* of *record*, as text."""
    found = dict(record.headers).get(name)
    return None if found is None else found.decode()


def by_key(records: Sequence[Any], member: Callable[[Any], Any]) -> dict[str, list[Any]]:
    """Group a member of each record by the record's key, in order of arrival."""
    groups: dict[str, list[Any]] = {}
    for record in records:
        groups.setdefault(record.key.decode(), []).append(member(record))
    return groups
