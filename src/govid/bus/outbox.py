"""Outbox: writes events and their pending deliveries in the transaction that caused them."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from govid.bus.consumers import Subscriptions, bucket_of
from govid.bus.contracts import Event
from govid.bus.envelope import Envelope, Sealer
from govid.bus.metrics import Metrics
from govid.bus.sql import read

if TYPE_CHECKING:
    # Commands store their own events, and run without SQLAlchemy (I13).
    from govid.bus.storage.transaction import Emission


QUERIES = read("govid.bus", "outbox.sql")


class PostgresOutbox:
    """The outbox tables of schema `bus`."""

    def __init__(
        self, sealer: Sealer, subscriptions: Subscriptions, metrics: Metrics | None = None
    ) -> None:
        """Address each event to the subscribers of *subscriptions* that want it now."""
        self._envelope_factory = sealer
        self._subscriptions = subscriptions
        self._metrics = metrics or Metrics()

    async def write(self, driver: Any, emissions: Sequence["Emission"]) -> Collection[str]:
        """Store events and all their deliveries in one statement; return the addressees."""
        envelopes = [
            self._envelope_factory.seal(event, context, now) for event, context, now in emissions
        ]
        return await self.store(driver, envelopes, self._subscriptions.of)

    async def store(
        self,
        driver: Any,
        envelopes: Sequence[Envelope],
        addressees: Callable[[Envelope], list[str]],
    ) -> Collection[str]:
        """Store *envelopes*, with a delivery to each of their *addressees*; return all addressees.

        *driver* is an asyncpg connection with an open transaction.
        """
        deliveries = [
            (envelope.id, name, bucket_of(envelope.key or str(envelope.id)))
            for envelope in envelopes
            for name in addressees(envelope)
        ]
        await driver.execute(
            QUERIES["emit"],
            [e.id for e in envelopes],
            [e.type for e in envelopes],
            [e.version for e in envelopes],
            [e.topic and e.topic.value for e in envelopes],
            [e.key for e in envelopes],
            [e.record_key for e in envelopes],
            [e.payload.decode() for e in envelopes],
            [self._envelope_factory.encode(e.headers) for e in envelopes],
            [e.occurred_at for e in envelopes],
            [event_id for event_id, _, _ in deliveries],
            [name for _, name, _ in deliveries],
            [bucket for _, _, bucket in deliveries],
        )
        # The type name of an unknown event comes from another producer and is no label (I9).
        self._metrics.emitted("unknown" if type(e.event) is Event else e.type for e in envelopes)
        return {name for _, name, _ in deliveries}
