"""Who wants which events: the registry of subscribers."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from uuid import UUID
from zlib import crc32

import msgspec

from govid.bus.actor import Actor, Cause
from govid.bus.contracts import Event
from govid.bus.envelope import Envelope

if TYPE_CHECKING:
    # Commands know subscribers, and run without SQLAlchemy (I13).
    from govid.bus.storage.transaction import Transaction

RELAY = "kafka.relay"
"""The subscriber that publishes to Kafka. It takes every type that has a topic."""

BUCKETS = 64
"""How many parts a subscriber's keys are divided into; a replica owns whole buckets."""

E_contra = TypeVar("E_contra", bound=Event, contravariant=True)
E_co = TypeVar("E_co", bound=Event, covariant=True)
OutcomeT = TypeVar("OutcomeT")


class Delivery(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """One event on its way to one subscriber."""

    event: E_co
    id: UUID
    type: str
    key: str | None
    seq: int | None
    occurred_at: datetime
    correlation_id: str
    traceparent: str | None = None

    def cause(self, subscriber: str) -> Cause:
        """Return the cause of all that *subscriber* does about this event."""
        return Cause(
            correlation_id=self.correlation_id,
            actor=Actor(kind="module", id=subscriber),
            causation_id=self.id,
            traceparent=self.traceparent,
        )


class Handler(Protocol[E_contra, OutcomeT]):
    """What a subscriber does about an event, in two steps.

    `prepare` does all input and output, with no transaction open; it may raise `Outage`, and may
    run more than once for one event. `apply` writes: its changes, the events it emits and the mark
    that this delivery is done commit together, exactly once. It may run again where a transaction
    was rolled back, so it changes nothing but its transaction.
    """

    async def prepare(self, delivery: Delivery[E_contra]) -> OutcomeT:
        """Ask whoever has to be asked, and return the answer."""

    async def apply(
        self, tx: "Transaction", delivery: Delivery[E_contra], outcome: OutcomeT
    ) -> None:
        """Write what follows from *outcome*, in *tx* only."""


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A named subscriber. The name, `module.purpose`, is stored and never changes (I10).

    Unless it declines by `grouped=False`, deliveries of several keys share a transaction. A handler
    that locks accounts which requests lock as well has to decline: it would hold the locks of up to
    sixteen accounts until the last of them is handled.
    """

    name: str
    handles: tuple[type[Event], ...]
    handler: Handler[Any, Any]
    wants: Callable[[Any], bool] = lambda _event: True
    grouped: bool = True


class Subscriptions:
    """All subscribers of this process. Filled while the house is wired, read ever after."""

    def __init__(self) -> None:
        """Start with the relay only."""
        self._consumers: dict[str, Consumer] = {}

    def add(self, consumer: Consumer) -> None:
        """Register *consumer*; a name that is taken is a mistake."""
        if consumer.name in self._consumers or consumer.name == RELAY:
            raise ValueError(f"the subscriber {consumer.name} exists twice")
        self._consumers[consumer.name] = consumer

    def __iter__(self) -> Iterator[Consumer]:
        """Go through the consumers, in order of registration."""
        return iter(self._consumers.values())

    def get(self, name: str) -> Consumer | None:
        """Return the consumer called *name*, if this release has it."""
        return self._consumers.get(name)

    def of(self, envelope: Envelope) -> list[str]:
        """Return the names of all that want *envelope*, the relay included."""
        names = self.inside(envelope)
        if envelope.topic is not None:
            names.append(RELAY)
        return names

    def inside(self, envelope: Envelope) -> list[str]:
        """Return the names of the modules' subscribers that want *envelope*."""
        event = envelope.event
        return [
            consumer.name
            for consumer in self._consumers.values()
            if isinstance(event, consumer.handles) and consumer.wants(event)
        ]


def bucket_of(key: str) -> int:
    """Return the bucket of *key*: stable across processes and releases, as rows remember it."""
    return crc32(key.encode()) % BUCKETS
