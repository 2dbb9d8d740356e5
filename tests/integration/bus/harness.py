"""A replica of the bus without Kafka, with one subscriber, and a ledger of its effects."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from prometheus_client import CollectorRegistry

from govid.bus import (
    BusSettings,
    Database,
    Delivery,
    OperationContext,
    PseudonymGenerator,
    Subscriber,
    Subscriptions,
    SystemClock,
    Transaction,
    UnitOfWork,
)
from govid.bus.delivery.dispatcher import Dispatcher
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events import IdentifierType, VerificationRequested
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.metrics import BusMetrics
from tests.audit_entries import entry_factory

NAME = "tests.ledger"
CONTEXT = OperationContext(correlation_id="test")
DEADLINE_SECONDS = 20


class LedgerHandler:
    """A handler that writes one row for each event, and can be made to misbehave."""

    def __init__(self, prepare: Callable[[Delivery[Any]], Awaitable[None]] | None = None) -> None:
        self.prepared: list[str] = []
        self._prepare = prepare

    async def prepare(self, delivery: Delivery[VerificationRequested]) -> None:
        self.prepared.append(delivery.event.correlation_id)
        if self._prepare is not None:
            await self._prepare(delivery)

    async def apply(
        self, tx: Transaction, delivery: Delivery[VerificationRequested], outcome: None
    ) -> None:
        await tx.connection.exec_driver_sql(
            "INSERT INTO ledger (account, label) VALUES ($1, $2)",
            (delivery.event.user_id, delivery.event.correlation_id),
        )


class BusFixture:
    """One replica: its pools, its leases and its dispatcher."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        handler: LedgerHandler,
        *,
        grouped: bool = True,
    ) -> None:
        self.settings = settings
        self.database = database
        self.handler = handler
        self.subscriptions = Subscriptions()
        consumer = Subscriber(
            name=NAME, handles=(VerificationRequested,), handler=handler, grouped=grouped
        )
        self.subscriptions.add(consumer)
        self.wake = WakeupHub()
        self.catalogue = EventRegistry()
        sealer = EnvelopeFactory(self.catalogue, PseudonymGenerator(settings.pseudonym_key))
        self.registry = CollectorRegistry()
        metrics = BusMetrics(self.registry)
        self.outbox = PostgresOutbox(sealer, entry_factory(), self.subscriptions, metrics)
        self.uow = UnitOfWork(database.requests, self.outbox, SystemClock(), self.wake.notify)
        self.leases = Leases(settings, [NAME], self.wake.notify_all)
        self.dispatcher = Dispatcher(
            consumer,
            settings,
            database,
            UnitOfWork(database.bus, self.outbox, SystemClock(), self.wake.notify),
            self.catalogue,
            self.leases,
            self.wake,
            asyncio.Lock(),
            metrics,
        )

    async def emit(self, account: UUID, *labels: str) -> None:
        """Emit one event for each label, in one transaction."""
        async with self.uow.begin(CONTEXT) as tx:
            for label in labels:
                tx.emit(a_request(account, label))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run leases and dispatcher for the length of the block."""
        tasks = [asyncio.create_task(self.leases.run()), asyncio.create_task(self.dispatcher.run())]
        try:
            yield
        finally:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait([task])

    async def labels(self) -> list[str]:
        """Return what the handler did, in order."""
        rows = await self.database.reads.fetch("SELECT label FROM ledger ORDER BY n")
        return [row["label"] for row in rows]

    def metric_value(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric, or None if it was never touched."""
        return self.registry.get_sample_value(f"govid_{name}", labels)

    async def count(self, table: str) -> int:
        """Count the rows of a table of the bus."""
        return int(await self.database.reads.fetchval(f"SELECT count(*) FROM bus.{table}"))  # noqa: S608

    async def count_pending(self) -> int:
        """Count the pending deliveries of this replica's subscriber, without those of the relay."""
        query = "SELECT count(*) FROM bus.delivery WHERE subscriber = $1"
        return int(await self.database.reads.fetchval(query, NAME))


def a_request(account: UUID, label: str) -> VerificationRequested:
    return VerificationRequested(
        user_id=account,
        identifier_type=IdentifierType.NHS,
        identifier_value="NHS123456789",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id=label,
    )


def an_account() -> UUID:
    return uuid4()


async def create_ledger(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE TABLE ledger (n bigserial PRIMARY KEY, account uuid NOT NULL, label text NOT NULL)"
    )
    await connection.close()


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *condition* holds; fail at the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.01)
