"""Repairs parked keys and dead letters: lists them, and retries, unparks or discards them.

An operator action works on a list that was selected before, and checks each delivery again under
its row lock. So it changes what was counted and confirmed, once, even if the same key is parked
again meanwhile.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from govid.bus.operations.delivery_filter import CONDITIONS, DeliveryFilter
from govid.bus.operations.operator_actions import (
    BatchProgress,
    ChangedDelivery,
    OperatorAction,
    OperatorActions,
    RateLimiter,
)
from govid.bus.storage.sql import load_statements

_TEXTS = load_statements("govid.bus.operations", "repair.sql")
QUERIES = {
    name: text.format(stuck=_TEXTS["stuck"], conditions=CONDITIONS) for name, text in _TEXTS.items()
}

StuckState = Literal["waiting", "parked", "dead"]
PERMANENT_STATES: Collection[StuckState] = ("parked", "dead")
"""The states in which a delivery is not retried without an operator action."""


class FailureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Failures with the same cause; `count` is the number of keys or dead letters."""

    subscriber: str
    state: StuckState
    reason: str
    error_class: str
    fingerprint: str
    count: int
    first_failed: datetime
    last_failed: datetime
    example_id: UUID


class StuckDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A parked or dead-lettered delivery; if its event has a key, later events of the key wait."""

    subscriber: str
    event_id: UUID
    state: StuckState


class StuckDeliveries:
    """The parked and dead-lettered deliveries, through an asyncpg connection."""

    def __init__(self, connection: Any) -> None:
        """Read and write through *connection*."""
        self._connection = connection

    async def fetch_groups(
        self, delivery_filter: DeliveryFilter, fingerprint: str | None = None
    ) -> list[FailureGroup]:
        """Return the failures by cause; groups of parked keys and dead letters come first."""
        rows = await self._connection.fetch(
            QUERIES["groups"], *delivery_filter.query_parameters(), fingerprint
        )
        return [FailureGroup(**row) for row in rows]

    async def fetch_deliveries(
        self,
        delivery_filter: DeliveryFilter,
        fingerprint: str | None = None,
        states: Collection[StuckState] = PERMANENT_STATES,
    ) -> list[StuckDelivery]:
        """Return the deliveries in *states* that match the filter, and *fingerprint* if given."""
        rows = await self._connection.fetch(
            QUERIES["choose"], *delivery_filter.query_parameters(), fingerprint, list(states)
        )
        return [StuckDelivery(**row) for row in rows]

    def retry(
        self,
        selected: Sequence[StuckDelivery],
        actions: OperatorActions,
        action: OperatorAction,
        rate: float | None = None,
    ) -> AsyncIterator[BatchProgress]:
        """Retry *selected*: keys with all their attempts, dead letters as pending deliveries."""
        return self._apply(selected, "retry_parked", "retry_dead", actions, action, rate)

    def unpark(
        self,
        selected: Sequence[StuckDelivery],
        actions: OperatorActions,
        action: OperatorAction,
        rate: float | None = None,
    ) -> AsyncIterator[BatchProgress]:
        """Unpark the keys of *selected*, with the attempts that they have left, at least one."""
        return self._apply(selected, "unpark", None, actions, action, rate)

    def discard(
        self,
        selected: Sequence[StuckDelivery],
        actions: OperatorActions,
        action: OperatorAction,
        rate: float | None = None,
    ) -> AsyncIterator[BatchProgress]:
        """Complete *selected* unhandled, permanently; the later events of their keys continue."""
        return self._apply(selected, "discard_parked", "discard_dead", actions, action, rate)

    async def _apply(
        self,
        selected: Sequence[StuckDelivery],
        key_query: str,
        dead_letter_query: str | None,
        actions: OperatorActions,
        action: OperatorAction,
        rate: float | None,
    ) -> AsyncIterator[BatchProgress]:
        limiter, done = RateLimiter(rate), 0
        for batch in _batches(selected, limiter.batch_size):

            async def work(batch: Sequence[StuckDelivery] = batch) -> list[ChangedDelivery]:
                keys = [delivery for delivery in batch if delivery.state != "dead"]
                dead = [delivery for delivery in batch if delivery.state == "dead"]
                changed = await self._run_query(key_query, keys)
                return changed + (
                    await self._run_query(dead_letter_query, dead) if dead_letter_query else []
                )

            changed = await actions.commit_batch(action, work)
            done += changed
            yield BatchProgress(done=done, total=len(selected))
            await limiter.wait(changed)

    async def _run_query(self, name: str, batch: Sequence[StuckDelivery]) -> list[ChangedDelivery]:
        if not batch:
            return []
        rows = await self._connection.fetch(
            QUERIES[name],
            [delivery.subscriber for delivery in batch],
            [delivery.event_id for delivery in batch],
        )
        return [(row["subscriber"], row["event_id"]) for row in rows]


def _batches(selected: Sequence[StuckDelivery], size: int) -> list[Sequence[StuckDelivery]]:
    return [selected[start : start + size] for start in range(0, len(selected), size)]
