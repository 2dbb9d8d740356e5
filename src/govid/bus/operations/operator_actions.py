"""Commits operator actions batch by batch, each batch with the audit event that records it.

The batch and its event are one transaction, so there is no action without its event and no event
without its action. A batch that changes nothing stores no event either, so a second identical run
changes nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.events import DataViewed, OutboxAct, TopicAct
from govid.bus.shared.clock import Clock, SystemClock
from govid.bus.shared.context import Actor, OperationContext
from govid.bus.shared.ids import uuid7
from govid.bus.storage.errors import is_transient
from govid.bus.storage.sql import release_session_lock, try_session_lock

ACTION_LOCK = 0x7265706C6179
"""Held by the operator action that adds deliveries for many events: "replay" in hexadecimal."""

BATCH_SIZE = 500
MAX_ATTEMPTS = 5

T = TypeVar("T", bound=TopicAct)

ChangedDelivery = tuple[str, UUID]
"""A subscriber, and the event whose delivery was changed."""


class ActionInProgress(Exception):
    """Another operator action is adding deliveries to this database."""


class OperatorAction(msgspec.Struct, frozen=True, kw_only=True):
    """One operator action: the type of its event, the operator, the stated reason."""

    kind: type[OutboxAct]
    operator: str
    reason: str
    selection: Mapping[str, str] = {}
    id: UUID = msgspec.field(default_factory=uuid7)


class ActionMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The operator, the stated reason and the time: the common members of all topic events."""

    operator: str
    reason: str
    id: UUID = msgspec.field(default_factory=uuid7)
    at: datetime = msgspec.field(default_factory=SystemClock().now)

    def build_event(self, event_struct: type[T], **members: Any) -> T:
        """Build the event of type *event_struct* that records the action."""
        return event_struct(
            act_id=self.id,
            operator=self.operator,
            stated_reason=self.reason,
            timestamp=self.at,
            **members,
        )


class BatchProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of an operator action: deliveries changed so far, of how many."""

    done: int
    total: int


class OperatorActions:
    """Commits operator actions and their audit events, through one asyncpg connection."""

    def __init__(self, connection: Any, outbox: PostgresOutbox, clock: Clock | None = None) -> None:
        """Store the audit events through *outbox*, with the time of *clock*."""
        self._connection = connection
        self._outbox = outbox
        self._clock = clock or SystemClock()

    async def commit_batch(
        self, action: OperatorAction, work: Callable[[], Awaitable[Sequence[ChangedDelivery]]]
    ) -> int:
        """Run *work* and record what it changed, in one transaction; return the number of changes.

        After a transient error such as a deadlock with a worker the batch is run again, up to five
        times: nothing was committed.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                async with self._connection.transaction():
                    changed = await work()
                    if changed:
                        await self._emit_action_event(action, changed)
            except asyncpg.PostgresError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # Ctrl-C cancels the statement too, and its error must not hide that.
                    raise asyncio.CancelledError from error
                if attempt == MAX_ATTEMPTS - 1 or not is_transient(error):
                    raise
            else:
                break
        return len(changed)

    async def commit_event(
        self, work: Callable[[], Awaitable[TopicAct | DataViewed | None]]
    ) -> bool:
        """Run *work* and store the event that it returns, in one transaction.

        *work* returns None if it changed nothing. Returns whether there was an event.
        """
        async with self._connection.transaction():
            event = await work()
            if event is not None:
                actor = Actor(kind="operator", id=event.operator)
                context = OperationContext(correlation_id=str(event.act_id), actor=actor)
                emission = (event, context, self._clock.now())
                await self._outbox.write(self._connection, [emission])
        return event is not None

    async def _emit_action_event(
        self, action: OperatorAction, changed: Sequence[ChangedDelivery]
    ) -> None:
        deliveries: dict[str, list[UUID]] = {}
        for subscriber, event_id in changed:
            deliveries.setdefault(subscriber, []).append(event_id)
        now = self._clock.now()
        event = action.kind(
            act_id=action.id,
            operator=action.operator,
            stated_reason=action.reason,
            selection=action.selection,
            deliveries=deliveries,
            timestamp=now,
        )
        context = OperationContext(
            correlation_id=str(action.id), actor=Actor(kind="operator", id=action.operator)
        )
        await self._outbox.write(self._connection, [(event, context, now)])


class RateLimiter:
    """Rate limit of an operator action, in deliveries a second; None means no limit."""

    def __init__(self, rate: float | None, batch_size: int = BATCH_SIZE) -> None:
        """Limit a batch to *batch_size* deliveries, and to what *rate* allows in one second."""
        self.batch_size = batch_size if rate is None else max(1, min(batch_size, int(rate)))
        self._rate = rate
        self._free_at = time.monotonic()

    async def wait(self, changed: int) -> None:
        """Wait until *changed* further deliveries are within the rate."""
        if self._rate is not None:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1.0) + changed / self._rate
            await asyncio.sleep(self._free_at - now)


@asynccontextmanager
async def exclusive_action(connection: Any) -> AsyncIterator[None]:
    """Hold the session advisory lock of operator actions that add deliveries.

    Raises:
        ActionInProgress: another operator action holds the lock.
    """
    if not await try_session_lock(connection, ACTION_LOCK):
        raise ActionInProgress
    try:
        yield
    finally:
        await release_session_lock(connection, ACTION_LOCK)
