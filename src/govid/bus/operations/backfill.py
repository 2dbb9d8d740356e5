"""Backfills a subscriber: adds deliveries of events that are older than the subscriber.

An event is addressed when it is emitted, to the subscribers that want it then. A subscriber that is
added later gets the retained earlier events here, by the same predicate. A backfill also restores
lost deliveries: an event may always be delivered to a subscriber to which it was addressed.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from govid.bus.delivery.subscriptions import RELAY, Subscriber, Subscriptions, bucket_for_key
from govid.bus.events.registry import EventRegistry, UnknownEventType
from govid.bus.operations.delivery_filter import CONDITIONS, DeliveryFilter
from govid.bus.operations.operator_actions import (
    BATCH_SIZE,
    BatchProgress,
    ChangedDelivery,
    OperatorAction,
    OperatorActions,
    RateLimiter,
    exclusive_action,
)
from govid.bus.operations.replay import NEXT_EVENTS

# The events of the subscriber's types for which it has no receipt, no dead letter and no pending
# delivery.
_CANDIDATES = f"""
    SELECT e.id, e.pos, e.key, e.type, e.version, e.topic, e.payload::text AS payload,
           e.addressees, e.headers #>> '{{actor,kind}}' AS actor_kind
    FROM bus.event e CROSS JOIN (SELECT $5::text AS subscriber) s
    WHERE {CONDITIONS}
    AND (e.type = ANY ($8) OR $5 = ANY (e.addressees))
    AND e.pos >= $9 AND e.pos <= $10 AND e.id >= $11 AND e.id <= $12
    AND NOT EXISTS (
        SELECT FROM bus.receipt r
        WHERE r.subscriber = $5 AND r.event_id = e.id
          AND r.event_id >= $11 AND r.event_id <= $12)
    AND NOT EXISTS (
        SELECT FROM bus.delivery d WHERE d.subscriber = $5 AND d.pos = e.pos)
    AND NOT EXISTS (
        SELECT FROM bus.dead d WHERE d.subscriber = $5 AND d.event_id = e.id)
    ORDER BY e.pos
"""  # noqa: S608 - put together from constants; every value is a parameter

_INSERT = """
    INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
    SELECT $1, * FROM unnest($2::bigint[], $3::smallint[], $4::uuid[], $5::text[])
    ON CONFLICT DO NOTHING
    RETURNING event_id
"""

_HORIZON = "SELECT coalesce(max(pos), 0) FROM bus.event"


class UnknownSubscriber(LookupError):
    """This release has no subscriber with that name."""


class SubscriberBackfill:
    """Backfills one subscriber through an asyncpg connection that has no other user meanwhile."""

    def __init__(
        self,
        connection: Any,
        subscriptions: Subscriptions,
        subscriber: str,
        *,
        registry: EventRegistry | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Determine the event types of *subscriber*.

        Raises:
            UnknownSubscriber: no subscriber has that name.
        """
        definition = subscriptions.get(subscriber)
        if definition is None and subscriber != RELAY:
            raise UnknownSubscriber(subscriber)
        self.unreadable = 0
        """The number of events of the last run that were skipped: this release cannot read them."""
        self._connection = connection
        self._subscriber = subscriber
        self._definition: Subscriber | None = definition
        self._registry = registry or EventRegistry()
        self._batch_size = batch_size
        self._types = [
            event_type.name
            for event_type in self._registry.types
            if (
                event_type.topic is not None
                if definition is None
                else _handles_struct(definition, event_type.struct)
            )
        ]

    async def count_deliveries(self, delivery_filter: DeliveryFilter) -> int:
        """Return how many deliveries a backfill of *delivery_filter* would add."""
        total = 0
        async for batch in self._find_missing(
            delivery_filter, await self._fetch_horizon(), self._batch_size
        ):
            total += len(batch)
        return total

    async def run(
        self,
        delivery_filter: DeliveryFilter,
        actions: OperatorActions,
        action: OperatorAction,
        *,
        rate: float | None = None,
    ) -> AsyncIterator[BatchProgress]:
        """Add the deliveries batch by batch, at most *rate* a second, and yield the progress.

        Events that are stored after the start are not read. An interrupted run leaves whole
        batches; the same call again completes it.

        Raises:
            ActionInProgress: a replay or another backfill is running.
        """
        async with exclusive_action(self._connection):
            total, done = await self.count_deliveries(delivery_filter), 0
            limiter = RateLimiter(rate, self._batch_size)
            async for batch in self._find_missing(
                delivery_filter, await self._fetch_horizon(), limiter.batch_size
            ):

                async def work(batch: Sequence[Any] = batch) -> list[ChangedDelivery]:
                    return await self._insert(batch)

                changed = await actions.commit_batch(action, work)
                done += changed
                yield BatchProgress(done=done, total=total)
                await limiter.wait(changed)

    async def _fetch_horizon(self) -> int:
        return int(await self._connection.fetchval(_HORIZON))

    async def _find_missing(
        self, delivery_filter: DeliveryFilter, horizon: int, size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield batches of the events that the subscriber wants and lacks, in their order."""
        subscriber_filter = msgspec.structs.replace(delivery_filter, subscriber=self._subscriber)
        self.unreadable, pos = 0, 0
        while True:
            # A fixed number of events, wanted or not: they bound the ids of their receipts.
            events = await self._connection.fetchrow(
                NEXT_EVENTS, *subscriber_filter.query_parameters(), pos, horizon, size
            )
            if not events["events"]:
                return
            rows = await self._connection.fetch(
                _CANDIDATES,
                *subscriber_filter.query_parameters(),
                self._types,
                pos,
                events["last_pos"],
                events["lowest"],
                events["highest"],
            )
            if missing := [row for row in rows if self._needs_delivery(row)]:
                yield missing
            pos = events["last_pos"] + 1

    def _needs_delivery(self, row: Any) -> bool:
        if self._subscriber in (row["addressees"] or ()):
            return True
        if self._definition is None:
            # Events from Kafka are not published there again, and their addressees show that. Only
            # older rows have no addressees.
            return row["addressees"] is None and row["actor_kind"] != "external"
        try:
            event_type = self._registry.get_type(row["type"], row["version"])
            event = self._registry.decode(event_type, row["payload"])
        except (UnknownEventType, msgspec.DecodeError):
            self.unreadable += 1
            return False
        return isinstance(event, self._definition.handles) and self._definition.predicate(event)

    async def _insert(self, batch: Sequence[Any]) -> list[ChangedDelivery]:
        rows = await self._connection.fetch(
            _INSERT,
            self._subscriber,
            [row["pos"] for row in batch],
            [bucket_for_key(row["key"] or str(row["id"])) for row in batch],
            [row["id"] for row in batch],
            [row["key"] for row in batch],
        )
        return [(self._subscriber, row["event_id"]) for row in rows]


def _handles_struct(subscriber: Subscriber, struct: type[Any]) -> bool:
    return any(issubclass(struct, handled) for handled in subscriber.handles)
