"""Outbox: writes events, their pending deliveries and their audit entries.

All are written in the transaction of the state change, by one statement.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from govid.bus.audit.entries import EntryFactory
from govid.bus.delivery.subscriptions import Subscriptions, bucket_for_key
from govid.bus.events import Event
from govid.bus.events.envelope import EnvelopeFactory, EventEnvelope
from govid.bus.metrics import BusMetrics
from govid.bus.storage.sql import load_statements

if TYPE_CHECKING:
    # Commands store their own events, and run without SQLAlchemy (I13).
    from govid.bus.storage.transaction import Emission


QUERIES = load_statements("govid.bus.delivery", "outbox.sql")


class PostgresOutbox:
    """The outbox tables of schema `bus`, and the entries of the audit log beside them."""

    def __init__(
        self,
        envelope_factory: EnvelopeFactory,
        entry_factory: EntryFactory,
        subscriptions: Subscriptions,
        metrics: BusMetrics | None = None,
    ) -> None:
        """Address each event to the subscribers of *subscriptions* that want it now."""
        self._envelope_factory = envelope_factory
        self._entry_factory = entry_factory
        self._subscriptions = subscriptions
        self._metrics = metrics or BusMetrics()

    async def write(self, driver: Any, emissions: Sequence["Emission"]) -> Collection[str]:
        """Store events and all their deliveries in one statement; return the addressees."""
        envelopes = [
            self._envelope_factory.build(event, context, now) for event, context, now in emissions
        ]
        return await self.store(driver, envelopes, self._subscriptions.subscribers_for)

    async def store(
        self,
        driver: Any,
        envelopes: Sequence[EventEnvelope],
        addressees: Callable[[EventEnvelope], list[str]],
    ) -> Collection[str]:
        """Store *envelopes*, with a delivery to each of their *addressees*; return all addressees.

        The same statement writes their entries of the audit log, so no event is without its entry.
        *driver* is an asyncpg connection with an open transaction.
        """
        deliveries = [
            (envelope.id, name, bucket_for_key(envelope.key or str(envelope.id)))
            for envelope in envelopes
            for name in addressees(envelope)
        ]
        entries = list(self._entry_factory.build_all(envelopes))
        restricted = [(entry, row) for entry in entries for row in entry.restricted]
        await driver.execute(
            QUERIES["emit"],
            [e.id for e in envelopes],
            [e.type for e in envelopes],
            [e.version for e in envelopes],
            [e.topic and e.topic.value for e in envelopes],
            [e.key for e in envelopes],
            [e.record_key for e in envelopes],
            [e.payload.decode() for e in envelopes],
            [self._envelope_factory.encode_json(e.headers) for e in envelopes],
            [e.occurred_at for e in envelopes],
            [event_id for event_id, _, _ in deliveries],
            [name for _, name, _ in deliveries],
            [bucket for _, _, bucket in deliveries],
            [entry.id for entry in entries],
            [entry.at for entry in entries],
            [entry.event for entry in entries],
            [entry.subject for entry in entries],
            [entry.content for entry in entries],
            [entry.mac for entry in entries],
            [entry.id for entry, _ in restricted],
            [row.kind.value for _, row in restricted],
            [row.content for _, row in restricted],
            [entry.at for entry, _ in restricted],
        )
        # The type name of an unknown event comes from another producer and is no label (I9).
        self._metrics.count_emitted(
            "unknown" if type(e.event) is Event else e.type for e in envelopes
        )
        return {name for _, name, _ in deliveries}
