"""Writes events and the deliveries they owe, in the transaction that caused them."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from govid.bus.actor import Cause
from govid.bus.consumers import Subscriptions, bucket_of
from govid.bus.contracts import Event
from govid.bus.envelope import Envelope, Sealer
from govid.bus.sql import QUERIES


class PostgresOutbox:
    """The outbox tables of schema `bus`."""

    def __init__(self, sealer: Sealer, subscriptions: Subscriptions) -> None:
        """Address each event to those of *subscriptions* that want it when it is emitted."""
        self._sealer = sealer
        self._subscriptions = subscriptions

    async def write(
        self, connection: AsyncConnection, events: list[Event], cause: Cause, now: datetime
    ) -> Collection[str]:
        """Store *events* and all their deliveries in one statement; return the addressees."""
        envelopes = [self._sealer.seal(event, cause, now) for event in events]
        return await self.store(connection, envelopes, self._subscriptions.of)

    async def store(
        self,
        connection: AsyncConnection,
        envelopes: Sequence[Envelope],
        addressees: Callable[[Envelope], list[str]],
    ) -> Collection[str]:
        """Store *envelopes*, with a delivery to each of their *addressees*; return all of those."""
        deliveries = [
            (envelope.id, name, bucket_of(envelope.key or str(envelope.id)))
            for envelope in envelopes
            for name in addressees(envelope)
        ]
        # Through SQLAlchemy and never on the driver's own connection: the dialect begins lazily,
        # so a statement that goes round it would run outside the transaction.
        await connection.exec_driver_sql(
            QUERIES["emit"],
            (
                [e.id for e in envelopes],
                [e.type for e in envelopes],
                [e.version for e in envelopes],
                [e.topic and e.topic.value for e in envelopes],
                [e.key for e in envelopes],
                [e.record_key for e in envelopes],
                [e.payload.decode() for e in envelopes],
                [self._sealer.encode(e.headers) for e in envelopes],
                [e.occurred_at for e in envelopes],
                [event_id for event_id, _, _ in deliveries],
                [name for _, name, _ in deliveries],
                [bucket for _, _, bucket in deliveries],
            ),
        )
        return {name for _, name, _ in deliveries}
