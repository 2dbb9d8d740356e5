"""Reads the outbox for operators: status, list and show. Personal data are masked by default."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.delivery.pending_counts import count_pending, fetch_oldest_pending, fetch_subscribers
from govid.bus.events.masking import mask_payload
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.shared.ids import first_uuid7_at, uuid7_timestamp
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.storage.sql import load_statements

DELIVERY_STATES = ("pending", "waiting", "parked", "dead", "done", "skipped", "discarded")
"""Every state of a delivery. `waiting` is retried automatically, `parked` needs an operator."""

QUERIES = load_statements("govid.bus.operations", "inspection.sql")
STUCK_STATES = frozenset({"waiting", "parked", "dead"})
"""States with few deliveries, which have tables of their own."""
FIRST_WINDOW = timedelta(hours=1)
LARGEST_WINDOW = timedelta(days=1)
SEARCH_SECONDS = 0.8
"""For how many seconds `fetch_deliveries` searches back in time for rare deliveries."""


class SubscriberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The deliveries of one subscriber. `oldest_seconds` is the age of the oldest pending one.

    If there are too many to count, `pending` is an estimate and `is_estimate` is true.
    """

    subscriber: str
    pending: int
    oldest_seconds: float | None
    waiting_keys: int
    parked_keys: int
    dead: int
    is_estimate: bool = False


class DeliveryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One event and the state of its delivery to one subscriber."""

    id: UUID
    type: str
    key: str | None
    seq: int | None
    topic: str | None
    stored_at: datetime
    subscriber: str
    state: str
    attempts: int | None
    reason: str | None


class EventDetail(RedactedStruct, frozen=True, kw_only=True):
    """One event with its payload, and the state of its delivery to every subscriber."""

    event: Mapping[str, Any]
    payload: Mapping[str, Any]
    headers: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]


class OutboxInspection:
    """Reads the outbox through an asyncpg connection or pool."""

    def __init__(self, connection: Any) -> None:
        """Read through *connection*."""
        self._connection = connection
        self.searched_since: datetime | None = None
        """How far back the last `fetch_deliveries` has searched, if it ended early."""

    async def fetch_status(self) -> list[SubscriberStatus]:
        """Return the pending, parked and dead counts of every known subscriber."""
        connection = self._connection
        names = await fetch_subscribers(connection)
        pending = await count_pending(connection, names)
        oldest_ids = await fetch_oldest_pending(connection, names)
        stuck = {
            row["subscriber"]: (row["waiting_keys"], row["parked_keys"])
            for row in await connection.fetch(QUERIES["stuck_counts"])
        }
        dead = {
            row["subscriber"]: row["dead"] for row in await connection.fetch(QUERIES["dead_counts"])
        }
        now = datetime.now(UTC)
        return [
            SubscriberStatus(
                subscriber=name,
                pending=pending[name].deliveries,
                # An id begins with the time at which its event was created.
                oldest_seconds=max(0.0, (now - uuid7_timestamp(oldest_ids[name])).total_seconds())
                if name in oldest_ids
                else None,
                waiting_keys=stuck.get(name, (0, 0))[0],
                parked_keys=stuck.get(name, (0, 0))[1],
                dead=dead.get(name, 0),
                is_estimate=pending[name].is_estimate,
            )
            for name in names
        ]

    async def fetch_deliveries(
        self, delivery_filter: DeliveryFilter, *, state: str | None = None, limit: int = 100
    ) -> list[DeliveryLine]:
        """Return the newest deliveries that match *delivery_filter*, and *state* if given.

        The search goes back in time for at most `SEARCH_SECONDS`. If it found fewer than *limit*
        by then, `searched_since` is the time that it has reached.
        """
        self.searched_since = None
        id_range = await self._find_id_range(delivery_filter, state)
        if id_range is None:
            return []
        found: list[Any] = []
        deadline = monotonic() + SEARCH_SECONDS
        for lower, upper in _split_range(id_range, single_range=_is_narrow(delivery_filter, state)):
            rows = await self._fetch_lines(lower, upper, delivery_filter, state, limit - len(found))
            found += rows
            if len(found) >= limit:
                break
            if monotonic() > deadline and lower > id_range[0]:
                self.searched_since = uuid7_timestamp(lower)
                break
        return [
            DeliveryLine(**{name: row[name] for name in DeliveryLine.__struct_fields__})
            for row in found
        ]

    async def fetch_event(self, event_id: UUID, *, raw: bool = False) -> EventDetail | None:
        """Return one event, its payload masked unless *raw*; None if it does not exist."""
        row = await self._connection.fetchrow(QUERIES["event"], event_id)
        if row is None:
            return None
        event = dict(row)
        payload = msgspec.json.decode(event.pop("payload"))
        headers = msgspec.json.decode(event.pop("headers"))
        deliveries = await self._fetch_lines(
            event_id, _following_id(event_id), DeliveryFilter(), None, None
        )
        return EventDetail(
            event=event,
            payload=payload if raw else mask_payload(payload, event["type"]),
            headers=headers,
            deliveries=[
                {"event_id": event_id, **{name: delivery[name] for name in _DELIVERY_MEMBERS}}
                for delivery in deliveries
            ],
        )

    async def _fetch_lines(
        self,
        lower: UUID,
        upper: UUID,
        delivery_filter: DeliveryFilter,
        state: str | None,
        limit: int | None,
    ) -> list[Any]:
        return list(
            await self._connection.fetch(
                QUERIES["deliveries"],
                lower,
                upper,
                list(delivery_filter.ids) or None,
                delivery_filter.key,
                delivery_filter.type,
                delivery_filter.topic,
                delivery_filter.subscriber,
                state,
                state in STUCK_STATES,
                await fetch_subscribers(self._connection),
                limit,
            )
        )

    async def _find_id_range(
        self, delivery_filter: DeliveryFilter, state: str | None
    ) -> tuple[UUID, UUID] | None:
        """Return the bounds of the ids that the filter can match; None if it matches none."""
        spans = [await self._connection.fetchrow(QUERIES["span_of_all"])]
        if delivery_filter.key is not None:
            spans.append(
                await self._connection.fetchrow(QUERIES["span_of_key"], delivery_filter.key)
            )
        if state in STUCK_STATES:
            spans.append(await self._connection.fetchrow(QUERIES["span_of_stuck"]))
        if any(span is None or span["lowest"] is None for span in spans):
            return None
        lowest = [span["lowest"] for span in spans]
        highest = [_following_id(span["highest"]) for span in spans]
        if delivery_filter.ids:
            lowest.append(min(delivery_filter.ids))
            highest.append(_following_id(max(delivery_filter.ids)))
        if delivery_filter.since is not None:
            lowest.append(first_uuid7_at(delivery_filter.since))
        if delivery_filter.until is not None:
            highest.append(first_uuid7_at(delivery_filter.until))
        lower, upper = max(lowest), min(highest)
        return (lower, upper) if lower < upper else None


_DELIVERY_MEMBERS = (
    "subscriber", "replay_id", "attempts", "reason", "error_class", "state", "handled_at",
    "partition", "offset",
)  # fmt: skip


def _is_narrow(delivery_filter: DeliveryFilter, state: str | None) -> bool:
    """Tell whether an index finds the few matching events, whatever their times."""
    return bool(delivery_filter.ids) or delivery_filter.key is not None or state in STUCK_STATES


def _split_range(id_range: tuple[UUID, UUID], *, single_range: bool) -> Iterator[tuple[UUID, UUID]]:
    """Yield ranges of ids that make up *id_range*: the latest first, each longer than the last."""
    lower, upper = id_range
    length = FIRST_WINDOW
    # In milliseconds, which are the first 48 bits of an id.
    while not single_range:
        start = UUID(int=max(0, (upper.int >> 80) - length // timedelta(milliseconds=1)) << 80)
        if start <= lower:
            break
        yield start, upper
        upper = start
        length = min(length * 2, LARGEST_WINDOW)
    yield lower, upper


def _following_id(event_id: UUID) -> UUID:
    return UUID(int=event_id.int + 1)
