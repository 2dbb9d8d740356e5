"""Builds envelopes: an event with its id, keys, headers and encoded payload, ready to store."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.events import Event, Topic
from govid.bus.events.registry import EventRegistry
from govid.bus.shared.context import Actor, OperationContext
from govid.bus.shared.ids import uuid7
from govid.bus.shared.plain_text import replace_control_characters
from govid.bus.shared.privacy import PseudonymGenerator


class EventHeaders(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The origin of an event: actor, correlation, cause. Stored beside the payload, not in it."""

    correlation_id: str
    actor: Actor
    causation_id: UUID | None = None
    traceparent: str | None = None


class EventEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event as the outbox stores it.

    `payload` is the exact value of the Kafka record. `key` orders the event ("stream/subject");
    `record_key` is the account's id and becomes the key of the Kafka record.
    """

    id: UUID
    type: str
    version: int
    topic: Topic | None
    key: str | None
    record_key: str | None
    payload: bytes
    headers: EventHeaders
    occurred_at: datetime
    event: Event
    client_address: str | None = None
    """For the audit log; it is not stored with the event."""


# A control character is escaped in JSON; the other characters begin with these bytes in UTF-8.
# Some harmless characters begin with the same bytes; their payloads are decoded unnecessarily.
_MAY_HOLD_CONTROLS = re.compile(rb"\\[bfru]|\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80|\xe2\x81")


class EnvelopeFactory:
    """Builds the envelopes of events."""

    def __init__(self, registry: EventRegistry, pseudonyms: PseudonymGenerator) -> None:
        """Look up types in *registry*, and derive keys from personal values by *pseudonyms*."""
        self.registry = registry
        self._pseudonyms = pseudonyms
        self._encoder = msgspec.json.Encoder()

    def build(
        self, event: Event, context: OperationContext, occurred_at: datetime
    ) -> EventEnvelope:
        """Build the envelope of *event*: a new id, its type, its keys and its origin."""
        event_type = self.registry.type_for_event(event)
        return EventEnvelope(
            id=uuid7(),
            type=event_type.name,
            version=event_type.version,
            topic=event_type.topic,
            key=event_type.order_key(event, self._pseudonyms),
            record_key=event_type.account(event),
            payload=self._encode_payload(event),
            headers=EventHeaders(
                correlation_id=context.correlation_id,
                actor=context.actor,
                causation_id=context.causation_id,
                traceparent=context.traceparent,
            ),
            occurred_at=occurred_at,
            event=event,
            client_address=context.client_address,
        )

    def _encode_payload(self, event: Event) -> bytes:
        """Return *event* as JSON, neutralised if it has control characters of an older row."""
        payload = self._encoder.encode(event)
        if _MAY_HOLD_CONTROLS.search(payload) is None:
            return payload
        return self._encoder.encode(replace_control_characters(msgspec.json.decode(payload)))

    def encode_json(self, part: Any) -> str:
        """Return *part* of an envelope as JSON text."""
        return self._encoder.encode(part).decode()
