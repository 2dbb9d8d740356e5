"""A department under test: real PostgreSQL, a real outbox, and a bare application around it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
from litestar import Litestar, Request, Response
from litestar.di import Provide

from govid.bus import (
    Database,
    Delivery,
    ErrorKind,
    GovidError,
    Handler,
    Module,
    OperationContext,
    Principal,
    PseudonymGenerator,
    Subscriptions,
    UnitOfWork,
)
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.events import Event, IdentifierType, VerificationRequested
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.gateway.http.json_body import StrictRequest
from tests.audit_entries import entry_factory

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
STATUS = {
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.CHANGED: 412,
    ErrorKind.INVALID: 422,
    ErrorKind.UNCONDITIONAL: 428,
    ErrorKind.UNAVAILABLE: 503,
}
DEADLINE_SECONDS = 10


class FixedClock:
    """A clock that tells what it was set to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def unit_of_work(database: Database, clock: FixedClock) -> UnitOfWork:
    """Return a unit of work whose events are stored, and not delivered."""
    outbox = PostgresOutbox(
        EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32)),
        entry_factory(),
        Subscriptions(),
    )
    return UnitOfWork(database.requests, outbox, clock, lambda *_: None)


def build_principal(account_id: UUID, assurance: str = "P1") -> Principal:
    return Principal(
        account_id=account_id,
        session_id=uuid4(),
        email="someone@example.com",
        identifier_type="NIN",
        identifier_value="AB123456C",
        phone_number=None,
        status="verified",
        auth_provider="email",
        created_at=NOW,
        updated_at=NOW,
        assurance=assurance,
    )


def build_delivery(what: Event) -> Delivery[Any]:
    return Delivery(
        event=what, id=uuid4(), type="", key=None, seq=None, occurred_at=NOW, correlation_id="c-1"
    )


def a_verification(
    kind: IdentifierType, value: str, account_id: UUID
) -> Delivery[VerificationRequested]:
    return build_delivery(
        VerificationRequested(
            user_id=account_id,
            identifier_type=kind,
            identifier_value=value,
            timestamp=NOW,
            correlation_id="c-1",
        )
    )


async def handle(handler: Handler[Any, Any], delivery: Delivery[Any], uow: UnitOfWork) -> None:
    """Do with *delivery* what a dispatcher does."""
    outcome = await handler.prepare(delivery)
    async with uow.begin(delivery.operation_context("tests")) as tx:
        await handler.apply(tx, delivery, outcome)


def find_handler(module: Module, name: str) -> Handler[Any, Any]:
    return {consumer.name: consumer.handler for consumer in module.subscribers}[name]


async def published(database: Database) -> list[tuple[str, dict[str, Any]]]:
    """Return the type and the payload of every event, in order."""
    rows = await database.reads.fetch("SELECT type, payload FROM bus.event ORDER BY pos")
    return [(row["type"], msgspec.json.decode(row["payload"])) for row in rows]


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for *condition*, for a while."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.01)


def wait_for_blocked_session(database: Database) -> Callable[[], Awaitable[bool]]:
    """Return the condition that a transaction of this database waits for another's lock."""

    async def waits() -> bool:
        query = """SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock')"""
        return bool(await database.reads.fetchval(query))

    return waits


@asynccontextmanager
async def serving(module: Module, account_id: UUID) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the module's routes who is signed in as *account_id*.

    The header `X-Account` changes the account of a request, `X-Assurance` its assurance level.
    """

    def principal(request: Request[Any, Any, Any]) -> Principal:
        headers = request.headers
        return build_principal(UUID(headers["x-account"]), headers.get("x-assurance", "P1"))

    app = Litestar(
        list(module.routes),  # type: ignore[call-overload] - the bus does not know what routes are
        dependencies={
            "principal": Provide(principal, sync_to_thread=False),
            "context": Provide(
                lambda: OperationContext(correlation_id="c-1"), sync_to_thread=False
            ),
        },
        request_class=StrictRequest,
        exception_handlers={GovidError: _problem},
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type] - typed more narrowly
        base_url="http://govid.example",
        headers={"X-Account": str(account_id)},
    ) as client:
        yield client


def _problem(_: Request[Any, Any, Any], error: GovidError) -> Response[Any]:
    content = {
        "detail": error.detail,
        "errors": [msgspec.to_builtins(f) for f in error.field_problems],
    }
    return Response(content, status_code=STATUS[error.kind])
