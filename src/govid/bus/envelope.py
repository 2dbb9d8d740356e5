"""An event and all that travels with it, ready to be stored and sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.actor import Actor, Cause
from govid.bus.catalogue import Catalogue
from govid.bus.contracts import Event, Topic
from govid.bus.ids import uuid7
from govid.bus.pseudonyms import Pseudonyms


class Headers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of an event's origin. Stored beside the payload, never inside it."""

    correlation_id: str
    actor: Actor
    causation_id: UUID | None = None
    traceparent: str | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event as the outbox stores it.

    `payload` is the Kafka record's value to the byte. `key` orders the event ("stream/subject");
    `record_key` is the account's id and becomes the Kafka record's key.
    """

    id: UUID
    type: str
    version: int
    topic: Topic | None
    key: str | None
    record_key: str | None
    payload: bytes
    headers: Headers
    occurred_at: datetime
    event: Event


class Sealer:
    """Puts events into envelopes."""

    def __init__(self, catalogue: Catalogue, pseudonyms: Pseudonyms) -> None:
        """Look types up in *catalogue*, and make keys of personal values by *pseudonyms*."""
        self.catalogue = catalogue
        self._pseudonyms = pseudonyms
        self._encoder = msgspec.json.Encoder()

    def seal(self, event: Event, cause: Cause, occurred_at: datetime) -> Envelope:
        """Give *event* an id, its type, its keys and its origin."""
        kind = self.catalogue.of(event)
        return Envelope(
            id=uuid7(),
            type=kind.name,
            version=kind.version,
            topic=kind.topic,
            key=kind.key(event, self._pseudonyms),
            record_key=kind.account(event),
            payload=self._encoder.encode(event),
            headers=Headers(
                correlation_id=cause.correlation_id,
                actor=cause.actor,
                causation_id=cause.causation_id,
                traceparent=cause.traceparent,
            ),
            occurred_at=occurred_at,
            event=event,
        )

    def encode(self, part: Any) -> str:
        """Return *part* of an envelope as JSON text."""
        return self._encoder.encode(part).decode()
