"""Fixtures of the command tests: an outbox with past events, and a runner of commands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner, Result

from govid.bus import (
    Database,
    OperationContext,
    PseudonymGenerator,
    Subscriber,
    Subscriptions,
    SystemClock,
    UnitOfWork,
)
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.events import IdentifierType, VerificationRequested
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.operations.inspection import OutboxInspection
from govid.bus.operations.operator_actions import OperatorActions
from govid.gateway.cli.output import Output
from tests.audit_entries import AUDIT_KEY, entry_factory
from tests.integration.cli.json_members import JsonMembers, recording
from tests.unit.cli.golden import PLAIN

SUBSCRIBER = "nhs.verification"
RELAY = "kafka.relay"


class OutboxFixture:
    """Puts events into the outbox, and changes the states of their deliveries."""

    def __init__(self, uow: UnitOfWork, outbox: PostgresOutbox, connection: Any) -> None:
        """Emit by *uow* into *outbox*, change states through *connection*."""
        self.connection = connection
        self.actions = OperatorActions(connection, outbox)
        self._uow = uow
        self._outbox = outbox

    def with_connection(self, connection: Any) -> "OutboxFixture":
        """Return the same fixture on another *connection*, as a second operator has."""
        return OutboxFixture(self._uow, self._outbox, connection)

    async def emit(self, account_id: UUID | None = None) -> UUID:
        """Emit a verification request, pending for the NHS and the relay; return its id."""
        async with self._uow.begin(OperationContext(correlation_id="past")) as tx:
            tx.emit(
                VerificationRequested(
                    user_id=account_id or uuid4(),
                    identifier_type=IdentifierType.NHS,
                    identifier_value="9990000018",
                    timestamp=datetime(2026, 1, 1, tzinfo=UTC),
                    correlation_id="past",
                )
            )
        query = "SELECT id FROM bus.event ORDER BY pos DESC LIMIT 1"
        found: UUID = await self.connection.fetchval(query)
        return found

    async def complete(self, *subscribers: str) -> None:
        """Complete all pending deliveries of *subscribers*."""
        await self.connection.execute(
            """
            WITH struck AS (
                DELETE FROM bus.delivery WHERE subscriber = ANY ($1) RETURNING subscriber, event_id
            )
            INSERT INTO bus.receipt (subscriber, event_id, outcome)
            SELECT subscriber, event_id, 'done' FROM struck
            ON CONFLICT DO NOTHING
            """,
            list(subscribers),
        )

    async def park(self, subscriber: str, event_id: UUID) -> None:
        """Park the key of the event at *subscriber*, with all attempts used."""
        await self.connection.execute(
            """
            INSERT INTO bus.parked
                (subscriber, key, event_id, until, attempts, reason, fingerprint, error_class)
            SELECT subscriber, key, event_id, 'infinity', 8, 'error', 'f', 'ValueError'
            FROM bus.delivery WHERE subscriber = $1 AND event_id = $2
            """,
            subscriber,
            event_id,
        )

    async def dead_letter(self, subscriber: str, event_id: UUID) -> None:
        """Dead-letter the delivery of the event to *subscriber*."""
        await self.connection.execute(
            """
            WITH struck AS (
                DELETE FROM bus.delivery WHERE subscriber = $1 AND event_id = $2 RETURNING *
            )
            INSERT INTO bus.dead (subscriber, pos, bucket, event_id, key, reason, fingerprint,
                                  error_class, attempts, first_failed, last_failed)
            SELECT subscriber, pos, bucket, event_id, key, 'error', 'd', 'KeyError', 8, now(), now()
            FROM struck
            """,
            subscriber,
            event_id,
        )

    async def fetch_states(self, event_id: UUID) -> dict[str, str]:
        """Return the state of the event at each subscriber."""
        detail = await OutboxInspection(self.connection).fetch_event(event_id)
        return {} if detail is None else {d["subscriber"]: d["state"] for d in detail.deliveries}

    async def recorded_actions(self) -> list[tuple[str, str, str, dict[str, list[str]]]]:
        """Return the operator actions: type, operator, reason and the changed deliveries."""
        rows = await self.connection.fetch(
            "SELECT type, payload::text FROM bus.event WHERE key = 'operator/outbox' ORDER BY seq"
        )
        payloads = [(row["type"], msgspec.json.decode(row["payload"])) for row in rows]
        return [(t, p["operator"], p["statedReason"], p["deliveries"]) for t, p in payloads]

    async def fetch_pending(self) -> list[tuple[str, UUID, UUID | None]]:
        """Return all deliveries."""
        rows = await self.connection.fetch(
            "SELECT subscriber, event_id, replay_id FROM bus.delivery ORDER BY pos, subscriber"
        )
        return [tuple(row) for row in rows]


@pytest.fixture(autouse=True)
def _agreed_json_members(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse a test whose commands print JSON with members that were not agreed."""
    found = JsonMembers()
    for name, method in recording(found).items():
        monkeypatch.setattr(Output, name, method)
    yield
    assert found.unexpected() == []


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Any]:
    """Return a connection to the test's database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def outbox(database: Database, connection: Any) -> OutboxFixture:
    """Return an outbox whose events have one subscriber besides the relay."""
    subscriptions = Subscriptions()
    consumer = Subscriber(name=SUBSCRIBER, handles=(VerificationRequested,), handler=None)  # type: ignore[arg-type] - it is never called
    subscriptions.add(consumer)
    outbox = PostgresOutbox(
        EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32)),
        entry_factory(),
        subscriptions,
    )
    uow = UnitOfWork(database.requests, outbox, SystemClock(), lambda *_: None)
    return OutboxFixture(uow, outbox, connection)


@pytest.fixture
def runner(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Return a runner of commands, with the test's database and the key of its audit log."""
    monkeypatch.chdir(tmp_path)
    return CliRunner(
        env={**PLAIN, "GOVID_DATABASE_URL": database_url, "GOVID_AUDIT_KEY": AUDIT_KEY}
    )


@pytest.fixture
def count_deliveries(database_url: str) -> Callable[[], int]:
    """Return a function that counts pending deliveries, for tests without an event loop."""

    async def count() -> int:
        connection = await asyncpg.connect(database_url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM bus.delivery"))
        finally:
            await connection.close()

    return lambda: asyncio.run(count())


async def in_thread(govid: Callable[..., Result], *arguments: str) -> Result:
    """Run a command, which has a loop of its own, from a test that has one."""
    return await asyncio.to_thread(govid, *arguments)
