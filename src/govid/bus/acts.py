"""What operators do to the outbox: batch by batch, each with the event that records it.

The batch and its event are one transaction: no act without a trace, no trace without its act. A
batch that finds nothing left to do leaves no event either, so a second identical run changes
nothing.
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

from govid.bus.actor import Actor, Cause
from govid.bus.clock import Clock, SystemClock
from govid.bus.contracts import DataViewed, OutboxAct, TopicAct
from govid.bus.ids import uuid7
from govid.bus.outbox import PostgresOutbox
from govid.bus.storage.advisory_locks import release_session_lock, try_session_lock
from govid.bus.storage.errors import is_transient

ADVISORY_LOCK = 0x7265706C6179
"""Held by the one who adds deliveries for many events: "replay" in hexadecimal."""

BATCH_SIZE = 500
ATTEMPTS = 5

T = TypeVar("T", bound=TopicAct)

Touched = tuple[str, UUID]
"""A subscriber, and the event whose delivery was touched."""


class ActRunning(Exception):
    """Somebody else adds deliveries to this database now."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One command of an operator: what, who, why."""

    kind: type[OutboxAct]
    operator: str
    reason: str
    selection: Mapping[str, str] = {}
    id: UUID = msgspec.field(default_factory=uuid7)


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts on topics, why, and when: what every such event says."""

    operator: str
    reason: str
    id: UUID = msgspec.field(default_factory=uuid7)
    at: datetime = msgspec.field(default_factory=SystemClock().now)

    def event(self, kind: type[T], **members: Any) -> T:
        """Return the event of *kind* that records the act."""
        return kind(
            act_id=self.id,
            operator=self.operator,
            stated_reason=self.reason,
            timestamp=self.at,
            **members,
        )


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an act is: deliveries touched so far, of how many."""

    done: int
    total: int


class Acts:
    """Commits the acts of operators, through one asyncpg connection."""

    def __init__(self, connection: Any, outbox: PostgresOutbox, clock: Clock | None = None) -> None:
        """Record through *outbox*, at the times of *clock*."""
        self._connection = connection
        self._outbox = outbox
        self._clock = clock or SystemClock()

    async def commit(self, act: Act, work: Callable[[], Awaitable[Sequence[Touched]]]) -> int:
        """Do *work* and record what it touched, in one transaction; return how much that was.

        Who meets a worker's locks crosswise begins anew: that worker had committed nothing either.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self._connection.transaction():
                    touched = await work()
                    if touched:
                        await self._record(act, touched)
            except asyncpg.PostgresError as error:
                if attempt == ATTEMPTS - 1 or not is_transient(error):
                    raise
            else:
                break
        return len(touched)

    async def commit_event(
        self, work: Callable[[], Awaitable[TopicAct | DataViewed | None]]
    ) -> bool:
        """Do *work* and store the event that it returns, in one transaction; None changes nothing.

        Return whether there was an event.
        """
        async with self._connection.transaction():
            event = await work()
            if event is not None:
                actor = Actor(kind="operator", id=event.operator)
                cause = Cause(correlation_id=str(event.act_id), actor=actor)
                emission = (event, cause, self._clock.now())
                await self._outbox.write(self._connection, [emission])
        return event is not None

    async def _record(self, act: Act, touched: Sequence[Touched]) -> None:
        deliveries: dict[str, list[UUID]] = {}
        for subscriber, event_id in touched:
            deliveries.setdefault(subscriber, []).append(event_id)
        now = self._clock.now()
        event = act.kind(
            act_id=act.id,
            operator=act.operator,
            stated_reason=act.reason,
            selection=act.selection,
            deliveries=deliveries,
            timestamp=now,
        )
        cause = Cause(correlation_id=str(act.id), actor=Actor(kind="operator", id=act.operator))
        await self._outbox.write(self._connection, [(event, cause, now)])


class Pace:
    """Keeps an act at so many deliveries a second; without a rate, as fast as it goes."""

    def __init__(self, rate: float | None, size: int = BATCH_SIZE) -> None:
        """Let batches be of at most *size*, and of at most one second's worth."""
        self.size = size if rate is None else max(1, min(size, int(rate)))
        self._rate = rate
        self._free_at = time.monotonic()

    async def keep(self, touched: int) -> None:
        """Wait as long as *touched* deliveries may take."""
        if self._rate is not None:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1.0) + touched / self._rate
            await asyncio.sleep(self._free_at - now)


@asynccontextmanager
async def alone(connection: Any) -> AsyncIterator[None]:
    """Hold the database for one act that adds deliveries.

    Raises:
        ActRunning: somebody else holds it.
    """
    if not await try_session_lock(connection, ADVISORY_LOCK):
        raise ActRunning
    try:
        yield
    finally:
        await release_session_lock(connection, ADVISORY_LOCK)
