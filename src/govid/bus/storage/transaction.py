"""The unit of work: a state change and its events, in one commit (I1).

BEGIN, COMMIT and the bus's own statements go straight to the driver; use cases and handlers run
SQLAlchemy Core on the same connection, which is in AUTOCOMMIT as far as SQLAlchemy knows. That
halves the cost of a handled event, and there is one place that begins and ends a transaction.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from govid.bus.actor import Cause
from govid.bus.clock import Clock
from govid.bus.contracts import Event
from govid.bus.errors import TransactionClosed
from govid.bus.storage.errors import DatabaseFault, classify, error_members
from govid.bus.storage.generation import ConnectionGeneration
from govid.bus.storage.pinned_connections import PinnedConnectionPool

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ROLLBACK_SECONDS = 2


Emission = tuple[Event, Cause, datetime]
"""An event, what caused it, and when it occurred."""


class Outbox(Protocol):
    """Where emitted events are written, just before the commit."""

    async def write(self, driver: Any, emissions: Sequence[Emission]) -> Collection[str]:
        """Store events and their deliveries through *driver*, in its open transaction.

        Returns the names of the subscribers that now have something to do.
        """


class Transaction:
    """One open transaction, and the events that will commit with it."""

    def __init__(
        self, connection: AsyncConnection, driver: Any, cause: Cause, now: datetime
    ) -> None:
        """Wrap *connection*, whose transaction somebody else begins and ends.

        *driver* is the same connection as asyncpg has it, for hand-written SQL.
        """
        self.connection = connection
        self.driver = driver
        self.cause = cause
        self.now = now
        self._events: list[Event] = []
        self._hooks: list[Callable[[], None]] = []
        self._savepoints = 0
        self._open = True

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a SQLAlchemy Core *statement* in this transaction."""
        return await self.connection.execute(statement, parameters)

    def emit(self, event: Event) -> None:
        """Publish *event* if, and only if, this transaction commits.

        Raises:
            TransactionClosed: the transaction is over, so nothing could be promised.
        """
        if not self._open:
            raise TransactionClosed(f"{type(event).__name__} was emitted after the transaction")
        self._events.append(event)

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call *hook* once this transaction has committed. A savepoint's rollback forgets it."""
        self._hooks.append(hook)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run the block in a SAVEPOINT: when it fails, its events die with its changes."""
        events, hooks = len(self._events), len(self._hooks)
        self._savepoints += 1
        name = f"govid_{self._savepoints}"
        await self.driver.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            del self._events[events:]
            del self._hooks[hooks:]
            # Released too: what other members of a group write next is no part of it.
            await self.driver.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        await self.driver.execute(f"RELEASE SAVEPOINT {name}")

    def take_emissions(self) -> list[Emission]:
        """Return the emitted events, once."""
        events, self._events = self._events, []
        return [(event, self.cause, self.now) for event in events]

    def close(self) -> None:
        """Let nothing be emitted any more."""
        self._open = False

    def committed(self) -> None:
        """Run the hooks."""
        for hook in self._hooks:
            hook()


class UnitOfWork:
    """Opens transactions for use cases and handlers."""

    def __init__(
        self,
        connections: AsyncEngine | PinnedConnectionPool,
        outbox: Outbox,
        clock: Clock,
        wake: Callable[[Collection[str]], None],
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Open transactions on *connections*; after a commit, *wake* those who have to do.

        *generation* ends when a transaction finds that the server accepts no writes.
        """
        self._generation = generation or ConnectionGeneration()
        self._connections = connections
        self._outbox = outbox
        self._clock = clock
        self._wake = wake

    @asynccontextmanager
    async def begin(self, cause: Cause) -> AsyncIterator[Transaction]:
        """Open a transaction: it commits when the block ends, and rolls back when it raises."""
        async with self.begin_group((cause,)) as (tx,):
            yield tx

    @asynccontextmanager
    async def begin_group(self, causes: Sequence[Cause]) -> AsyncIterator[Sequence[Transaction]]:
        """Open one transaction of the database for several causes, which share its end.

        Each cause gets a `Transaction` of its own: its events name it as their cause, and its
        savepoints take back its own events and hooks only. All of them commit, or none does.
        """
        async with self._connections.connect() as connection:
            driver = await _alive(connection)
            now = self._clock.now()
            members = [Transaction(connection, driver, cause, now) for cause in causes]
            try:
                await driver.execute("BEGIN")
                yield members
                addressed = await self._flush(driver, members)
                await driver.execute("COMMIT")
            except BaseException as error:
                self._generation.report(error)
                await _abandon(connection, driver, error)
                raise
            finally:
                for tx in members:
                    tx.close()
        for cause in causes:
            if cause.witness is not None:
                cause.witness.written = True
        if addressed:
            self._wake(addressed)
        _run_hooks(members)

    async def _flush(self, driver: Any, members: Sequence[Transaction]) -> Collection[str]:
        """Store what *members* have emitted, in one statement: it locks all keys in one order."""
        emissions: list[Emission] = []
        for tx in members:
            witness = tx.cause.witness
            if witness is not None and not witness.written:
                tx.emit(witness.event)
            emissions.extend(tx.take_emissions())
        return await self._outbox.write(driver, emissions) if emissions else ()


def _run_hooks(members: Sequence[Transaction]) -> None:
    """Run the hooks of all *members*; an error in those of one keeps nothing from the others."""
    errors: list[Exception] = []
    for tx in members:
        try:
            tx.committed()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
    if errors:
        raise errors[0]


def rerun_on_conflict(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Let a use case run once more if another transaction or a schema change was in its way.

    Only for methods that do nothing outside their transaction. A deadlock, a serialisation
    failure or a stale plan means that nothing was committed; a connection that is lost at COMMIT
    does not, and is never run again here.
    """

    @wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except Exception as error:
            if classify(error) is not DatabaseFault.CONFLICT:
                raise
            log.info("transaction.rerun", extra=error_members(error))
        return await method(*args, **kwargs)

    return run


async def _alive(connection: AsyncConnection) -> Any:
    """Return the driver's connection, or that of another one if it has died in the pool.

    SQLAlchemy would notice by the error of a statement of its own, and would tell its pool; what
    goes to the driver directly it does not see, and a dead connection would be lent for ever.
    """
    while True:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        if not driver.is_closed():
            return driver
        await connection.invalidate()


async def _abandon(connection: AsyncConnection, driver: Any, error: BaseException) -> None:
    """Roll back; if that cannot be had at once, or *error* is the connection's, discard it.

    A connection that went back to its pool inside a transaction would lend it to a stranger; one
    to a server that accepts no writes would fail every transaction after this one.
    """
    if classify(error) is DatabaseFault.CONNECTION_LOST:
        await connection.invalidate(error)
        return
    try:
        async with asyncio.timeout(ROLLBACK_SECONDS):
            # Also where the driver knows of no transaction: a BEGIN that was cancelled may still
            # be on its way. Whatever state the connection is in, it is good if this succeeds.
            await driver.execute("ROLLBACK")
    except BaseException as failure:
        await connection.invalidate()
        if not isinstance(failure, Exception):
            raise
