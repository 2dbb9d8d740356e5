"""Requirement 1 of the outbox: an event exists if and only if its state change committed."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from govid.bus import (
    Database,
    OperationContext,
    PseudonymGenerator,
    Subscriptions,
    SystemClock,
    Transaction,
    TransactionClosed,
    UnitOfWork,
)
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.events import IdentifierType, VerificationRequested
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from tests.audit_entries import entry_factory

CONTEXT = OperationContext(correlation_id="test")


def a_request(n: int = 0) -> VerificationRequested:
    return VerificationRequested(
        user_id=uuid4(),
        identifier_type=IdentifierType.NHS,
        identifier_value="NHS123456789",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id=f"c-{n}",
    )


@pytest.fixture
def uow(database: Database) -> UnitOfWork:
    sealer = EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32))
    return UnitOfWork(
        database.requests,
        PostgresOutbox(sealer, entry_factory(), Subscriptions()),
        SystemClock(),
        lambda _names: None,
    )


async def stored(database: Database) -> list[str]:
    rows = await database.reads.fetch(
        "SELECT payload->>'correlation_id' AS id FROM bus.event ORDER BY pos"
    )
    return [row["id"] for row in rows]


async def test_r1_a_commit_publishes(uow: UnitOfWork, database: Database) -> None:
    async with uow.begin(CONTEXT) as tx:
        tx.emit(a_request(1))
    assert await stored(database) == ["c-1"]


async def test_r1_an_exception_publishes_nothing(uow: UnitOfWork, database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with uow.begin(CONTEXT) as tx:
            tx.emit(a_request(1))
            raise ZeroDivisionError
    assert await stored(database) == []


async def test_r1_a_savepoint_takes_its_events_with_it(uow: UnitOfWork, database: Database) -> None:
    async with uow.begin(CONTEXT) as tx:
        tx.emit(a_request(1))
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                tx.emit(a_request(2))
                raise ZeroDivisionError
        tx.emit(a_request(3))
    assert await stored(database) == ["c-1", "c-3"]


async def test_r1_emitting_without_a_transaction_is_refused(uow: UnitOfWork) -> None:
    kept: list[Transaction] = []
    async with uow.begin(CONTEXT) as tx:
        kept.append(tx)
    with pytest.raises(TransactionClosed):
        kept[0].emit(a_request())
