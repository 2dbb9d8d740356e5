"""The unit of work: a state change and its events, in one commit (I1).

BEGIN, COMMIT and the statements of the bus use the driver directly. Use cases and handlers run
SQLAlchemy Core on the same connection, which SQLAlchemy sees in AUTOCOMMIT mode. That halves the
cost of a handled event, and only this file begins and ends transactions.
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

from govid.bus.events import Event
from govid.bus.shared.clock import Clock
from govid.bus.shared.context import OperationContext
from govid.bus.shared.errors import TransactionClosed
from govid.bus.storage.errors import DatabaseFault, classify_database_error, error_members
from govid.bus.storage.pools import ConnectionGeneration, PinnedConnectionPool

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ROLLBACK_SECONDS = 2


Emission = tuple[Event, OperationContext, datetime]
"""An event, its operation context, and when it occurred."""


class Outbox(Protocol):
    """Writes the emitted events just before the commit."""

    async def write(self, driver: Any, emissions: Sequence[Emission]) -> Collection[str]:
        """Store events and their deliveries through *driver*, in its open transaction.

        Returns the names of the subscribers that now have pending deliveries.
        """


class Transaction:
    """One open transaction, and the events that will commit with it."""

    def __init__(
        self, connection: AsyncConnection, driver: Any, context: OperationContext, now: datetime
    ) -> None:
        """Wrap *connection*, whose transaction the caller begins and ends.

        *driver* is the asyncpg connection behind it, for hand-written SQL.
        """
        self.connection = connection
        self.driver = driver
        self.context = context
        self.now = now
        self._events: list[Event] = []
        self._commit_hooks: list[Callable[[], None]] = []
        self._savepoints = 0
        self._is_open = True

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a SQLAlchemy Core *statement* in this transaction."""
        return await self.connection.execute(statement, parameters)

    def emit(self, event: Event) -> None:
        """Publish *event* if, and only if, this transaction commits.

        Raises:
            TransactionClosed: the transaction has ended, so the event could not commit with it.
        """
        if not self._is_open:
            raise TransactionClosed(f"{type(event).__name__} was emitted after the transaction")
        self._events.append(event)

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call *hook* once this transaction has committed. A rollback to a savepoint removes it."""
        self._commit_hooks.append(hook)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run the block in a SAVEPOINT: if it fails, its changes and its events are rolled back."""
        events, hooks = len(self._events), len(self._commit_hooks)
        self._savepoints += 1
        name = f"govid_{self._savepoints}"
        await self.driver.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            del self._events[events:]
            del self._commit_hooks[hooks:]
            # Released too: later writes of other group members must not belong to it.
            await self.driver.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        await self.driver.execute(f"RELEASE SAVEPOINT {name}")

    def drain_emissions(self) -> list[Emission]:
        """Return and remove the emitted events."""
        events, self._events = self._events, []
        return [(event, self.context, self.now) for event in events]

    def close(self) -> None:
        """Refuse further events."""
        self._is_open = False

    def run_commit_hooks(self) -> None:
        """Run the hooks of `after_commit`."""
        for hook in self._commit_hooks:
            hook()


class UnitOfWork:
    """Opens transactions for use cases and handlers."""

    def __init__(
        self,
        connections: AsyncEngine | PinnedConnectionPool,
        outbox: Outbox,
        clock: Clock,
        notify: Callable[[Collection[str]], None],
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Open transactions on *connections*; after a commit, *notify* the addressed subscribers.

        *generation* ends when a transaction finds that the server accepts no writes.
        """
        self._generation = generation or ConnectionGeneration()
        self._connections = connections
        self._outbox = outbox
        self._clock = clock
        self._notify = notify

    @asynccontextmanager
    async def begin(self, context: OperationContext) -> AsyncIterator[Transaction]:
        """Open a transaction: it commits when the block ends, and rolls back when it raises."""
        async with self.begin_group((context,)) as (tx,):
            yield tx

    @asynccontextmanager
    async def begin_group(
        self, contexts: Sequence[OperationContext]
    ) -> AsyncIterator[Sequence[Transaction]]:
        """Open one transaction of the database for several operation contexts.

        Each context gets its own `Transaction`: its events carry that context, and a rollback to
        one of its savepoints removes only its own events and hooks. All commit together, or none.
        """
        async with self._connections.connect() as connection:
            driver = await _live_driver(connection)
            now = self._clock.now()
            members = [Transaction(connection, driver, context, now) for context in contexts]
            try:
                await driver.execute("BEGIN")
                yield members
                subscribers = await self._flush(driver, members)
                await driver.execute("COMMIT")
            except BaseException as error:
                self._generation.end_if_read_only(error)
                await _roll_back(connection, driver, error)
                raise
            finally:
                for tx in members:
                    tx.close()
        for context in contexts:
            if context.deferred_event is not None:
                context.deferred_event.is_written = True
        if subscribers:
            self._notify(subscribers)
        _run_hooks(members)

    async def _flush(self, driver: Any, members: Sequence[Transaction]) -> Collection[str]:
        """Store the events of all *members* in one statement, which locks all keys in one order."""
        emissions: list[Emission] = []
        for tx in members:
            deferred_event = tx.context.deferred_event
            if deferred_event is not None and not deferred_event.is_written:
                tx.emit(deferred_event.event)
            emissions.extend(tx.drain_emissions())
        return await self._outbox.write(driver, emissions) if emissions else ()


def _run_hooks(members: Sequence[Transaction]) -> None:
    """Run the hooks of all *members*, then raise the first error of any of them."""
    errors: list[Exception] = []
    for tx in members:
        try:
            tx.run_commit_hooks()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
    if errors:
        raise errors[0]


def rerun_on_conflict(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Run a use case once more after a conflict with another transaction or a schema change.

    Only for methods that do nothing outside their transaction. After a deadlock, a serialisation
    failure or a stale plan nothing was committed. A connection that is lost at COMMIT leaves that
    open, so the method is not run again.
    """

    @wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except Exception as error:
            if classify_database_error(error) is not DatabaseFault.CONFLICT:
                raise
            log.info("transaction.rerun", extra=error_members(error))
        return await method(*args, **kwargs)

    return run


async def _live_driver(connection: AsyncConnection) -> Any:
    """Return the driver's connection; replace it first if it was closed in the pool.

    SQLAlchemy discards a dead connection after the error of one of its own statements. It does not
    see statements that use the driver directly, so it would lend a dead connection forever.
    """
    while True:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        if not driver.is_closed():
            return driver
        await connection.invalidate()


async def _roll_back(connection: AsyncConnection, driver: Any, error: BaseException) -> None:
    """Roll back; if that fails or *error* is a lost connection, discard the connection.

    A connection that returned to its pool inside a transaction would leak it to the next user. A
    connection to a server that accepts no writes would fail every later transaction.
    """
    if classify_database_error(error) is DatabaseFault.CONNECTION_LOST:
        await connection.invalidate(error)
        return
    try:
        async with asyncio.timeout(ROLLBACK_SECONDS):
            # Even if the driver reports no transaction: a cancelled BEGIN may still be executed. If
            # this succeeds, the connection is usable, whatever its state was.
            await driver.execute("ROLLBACK")
    except BaseException as failure:
        await connection.invalidate()
        if not isinstance(failure, Exception):
            raise
