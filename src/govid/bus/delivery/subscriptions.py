"""Subscriptions: the registry of subscribers, and the contract of their handlers."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from uuid import UUID
from zlib import crc32

import msgspec

from govid.bus.events import Event
from govid.bus.events.envelope import EventEnvelope
from govid.bus.shared.context import Actor, OperationContext

if TYPE_CHECKING:
    # Commands import the subscriptions without SQLAlchemy (I13).
    from govid.bus.storage.transaction import Transaction

RELAY = "kafka.relay"
"""The subscriber name of the outbox relay. It gets every event whose type has a topic."""

BUCKETS = 64
"""The number of buckets into which a subscriber's keys are hashed. A lease covers one bucket."""

E_contra = TypeVar("E_contra", bound=Event, contravariant=True)
E_co = TypeVar("E_co", bound=Event, covariant=True)
OutcomeT = TypeVar("OutcomeT")


class Delivery(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """One event that is delivered to one subscriber."""

    event: E_co
    id: UUID
    type: str
    key: str | None
    seq: int | None
    occurred_at: datetime
    correlation_id: str
    traceparent: str | None = None

    def operation_context(self, subscriber: str) -> OperationContext:
        """Return the operation context of what *subscriber* does in response to this event."""
        return OperationContext(
            correlation_id=self.correlation_id,
            actor=Actor(kind="module", id=subscriber),
            causation_id=self.id,
            traceparent=self.traceparent,
        )


class Handler(Protocol[E_contra, OutcomeT]):
    """The handler of a subscriber, in two steps.

    `prepare` does all input and output, with no transaction open; it may raise `Outage`, and may
    run more than once for one event. `apply` writes: its changes, the events that it emits and the
    receipt of the delivery commit together, exactly once. `apply` may run again after a rollback,
    so it changes nothing outside its transaction.
    """

    async def prepare(self, delivery: Delivery[E_contra]) -> OutcomeT:
        """Call the departments that are needed, and return the outcome."""

    async def apply(
        self, tx: "Transaction", delivery: Delivery[E_contra], outcome: OutcomeT
    ) -> None:
        """Write the consequences of *outcome*, in *tx* only."""


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """A named subscriber. The name, `module.purpose`, is stored and never changes (I10).

    Deliveries of several keys share a transaction, unless `grouped` is false. It has to be false
    for a handler that locks accounts which requests lock too: a group would hold the locks of up
    to sixteen accounts until its last delivery is handled.
    """

    name: str
    handles: tuple[type[Event], ...]
    handler: Handler[Any, Any]
    predicate: Callable[[Any], bool] = lambda _event: True
    grouped: bool = True


class Subscriptions:
    """All subscribers of this process. Complete before the bus starts; constant after that."""

    def __init__(self) -> None:
        """Begin with no subscriber but the relay."""
        self._subscribers: dict[str, Subscriber] = {}

    def add(self, subscriber: Subscriber) -> None:
        """Register *subscriber*.

        Raises:
            ValueError: its name is registered already.
        """
        if subscriber.name in self._subscribers or subscriber.name == RELAY:
            raise ValueError(f"the subscriber {subscriber.name} is registered twice")
        self._subscribers[subscriber.name] = subscriber

    def __iter__(self) -> Iterator[Subscriber]:
        """Iterate over the subscribers, in order of registration."""
        return iter(self._subscribers.values())

    def get(self, name: str) -> Subscriber | None:
        """Return the subscriber called *name*, or None if this release has none."""
        return self._subscribers.get(name)

    def subscribers_for(self, envelope: EventEnvelope) -> list[str]:
        """Return the names of all subscribers that want *envelope*, including the relay."""
        names = self.module_subscribers_for(envelope)
        if envelope.topic is not None:
            names.append(RELAY)
        return names

    def module_subscribers_for(self, envelope: EventEnvelope) -> list[str]:
        """Return the names of the modules' subscribers that want *envelope*."""
        event = envelope.event
        return [
            subscriber.name
            for subscriber in self._subscribers.values()
            if isinstance(event, subscriber.handles) and subscriber.predicate(event)
        ]


def bucket_for_key(key: str) -> int:
    """Return the bucket of *key*: stable across processes and releases, because rows store it."""
    return crc32(key.encode()) % BUCKETS
