"""Reads a foreign record: what event it is, or why it is none.

Whoever may write to the topic may write anything. What is not an event of the topic goes to the
dead-letter topic with the reason; neither the reason nor the place may quote the value (I9).
"""

import hashlib
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import msgspec

from govid.bus.actor import Actor, Cause
from govid.bus.catalogue import result_struct
from govid.bus.contracts import DeathNotified, Event, Topic, VerificationCompleted
from govid.bus.envelope import Envelope, Headers, Sealer
from govid.bus.ids import uuid7
from govid.bus.kafka import codec
from govid.bus.storage.errors import error_class

MAX_VALUE_BYTES = 256 * 1024
_PLACE = re.compile(r"at `(\$[\w.]*)`")
_MISSING = re.compile(r"missing required field `(\w+)`")
SHAPES: dict[Topic, type[Event]] = {
    Topic.VERIFICATION_RESULT: VerificationCompleted,
    Topic.DEATH_NOTIFICATION: DeathNotified,
}


class Basis(StrEnum):
    """How a record is identified (ADR-0022)."""

    SOURCE = "source"
    """By its source and the source's id: one content only."""
    BARE_ID = "bare id"
    """By an id without a source, which two senders may use, and by its content."""
    PLACE = "place"
    """By topic, partition and offset, which come again in a topic that is created anew, by its
    timestamp and its content."""


class Unreadable(Exception):
    """The record is no event of its topic."""

    def __init__(self, reason: str, place: str = "") -> None:
        """Give a *reason* for machines, and the *place* in the value, never the value."""
        self.reason = reason
        self.place = place
        super().__init__(reason)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A record that can be taken in.

    `known` is false for versions that this release cannot handle; `own_id` is set where the record
    carries an id in govid's form, so that it may be an echo of the event that has `value`.

    `foreign_hash` is the identity that the record claims, and `digest` is what it says.
    `content_hash` is the identity of a record that claims one which another record has: claim and
    digest together.
    """

    envelope: Envelope
    basis: Basis
    source: str
    foreign_id: str
    foreign_hash: bytes
    digest: bytes
    own_id: UUID | None
    value: str
    known: bool

    @property
    def content_hash(self) -> bytes:
        """Return the identity that differs for each content."""
        return hashlib.sha256(self.foreign_hash + self.digest).digest()


class Intake:
    """Reads the records of the inbound topics."""

    def __init__(self, sealer: Sealer, generation: str) -> None:
        """Tell lives of a forgetful broker apart by *generation*."""
        self._sealer = sealer
        self._generation = generation
        self._decoders = {topic: msgspec.json.Decoder(shape) for topic, shape in SHAPES.items()}
        self._types = {
            topic: {
                (kind.name, kind.version) for kind in sealer.catalogue.types if kind.topic is topic
            }
            for topic in SHAPES
        }
        self._names = {topic: {name for name, _ in self._types[topic]} for topic in SHAPES}

    def read(self, topic: Topic, record: Any) -> Arrival:
        """Read *record*, an aiokafka `ConsumerRecord` of *topic*.

        Raises:
            Unreadable: it belongs to the dead letters.
        """
        try:
            return self._read(topic, record)
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001 - one of the four edges
            # Whatever somebody thought of that we did not: no record may stop those behind it.
            # `from None`: the text of the error may quote the value.
            raise Unreadable("unforeseen", error_class(error)) from None

    def _read(self, topic: Topic, record: Any) -> Arrival:
        attributes = codec.attributes(record.headers)
        said = attributes.type_name
        # A type that govid does not have says nothing: the topic decides what its records are.
        known = said not in self._names[topic] or (said, attributes.version) in self._types[topic]
        value = _text(record.value)
        envelope = (
            self._known(topic, value, attributes) if known else _unknown(topic, value, attributes)
        )
        basis, source, foreign_id = self._identity(topic, record, attributes)
        digest = _digest(record.key, value)
        if basis is Basis.PLACE:
            digest = _digest(str(record.timestamp).encode(), digest)
        return Arrival(
            envelope=envelope,
            basis=basis,
            source=source,
            foreign_id=codec.text_of(foreign_id),
            foreign_hash=hashlib.sha256(source.encode() + b"\0" + foreign_id).digest(),
            digest=digest,
            own_id=attributes.own_id,
            value=value.decode(),
            known=known,
        )

    def _known(self, topic: Topic, value: bytes, attributes: codec.Attributes) -> Envelope:
        try:
            event: Any = self._decoders[topic].decode(value)
        except msgspec.ValidationError as error:
            # `from None`: the text of the error may quote the value.
            raise Unreadable("wrong-shape", _place(str(error))) from None
        except (msgspec.DecodeError, RecursionError):
            raise Unreadable("not-json") from None
        for name, wire_name in zip(
            event.__struct_fields__, event.__struct_encode_fields__, strict=True
        ):
            # PostgreSQL's text holds everything but NUL.
            if "\x00" in str(getattr(event, name)):
                raise Unreadable("wrong-shape", f"$.{wire_name}")
        if isinstance(event, VerificationCompleted):
            struct = result_struct(event.identifier_type)
            event = struct(**msgspec.structs.asdict(event))
        if event.timestamp.tzinfo is None:
            try:
                event, value = _in_utc(event, value)
            except (msgspec.DecodeError, RecursionError):
                # A member that the shape passes over, and that is no JSON value we can keep.
                raise Unreadable("not-json") from None
        cause = Cause(
            correlation_id=attributes.correlation_id or str(uuid4()),
            actor=Actor(kind="external", id=topic.value),
            traceparent=attributes.traceparent,
        )
        envelope = self._sealer.seal(event, cause, datetime.now(UTC))
        return msgspec.structs.replace(envelope, payload=value)

    def _identity(
        self, topic: Topic, record: Any, attributes: codec.Attributes
    ) -> tuple[Basis, str, bytes]:
        if attributes.event_id is not None:
            basis = Basis.SOURCE if attributes.source else Basis.BARE_ID
            return basis, f"{topic.value} {attributes.source}", attributes.event_id
        place = f"{self._generation}/{record.topic}/{record.partition}/{record.offset}"
        return Basis.PLACE, f"{topic.value} by place", place.encode()


def _digest(key: bytes | None, value: bytes) -> bytes:
    """Return the SHA-256 of *key* and *value*, of which the lengths belong to it."""
    length = -1 if key is None else len(key)
    return hashlib.sha256(b"%d:%b%b" % (length, key or b"", value)).digest()


def _place(error: str) -> str:
    """Return the place that the text of a `ValidationError` names, with a missing member's name."""
    place = _PLACE.search(error)
    missing = _MISSING.search(error)
    return (place[1] if place else "$") + (f".{missing[1]}" if missing else "")


def _text(value: bytes | None) -> bytes:
    if not value:
        raise Unreadable("empty")
    if len(value) > MAX_VALUE_BYTES:
        raise Unreadable("too-big")
    try:
        value.decode()
    except UnicodeDecodeError:
        raise Unreadable("not-json") from None
    return value


def _unknown(topic: Topic, value: bytes, attributes: codec.Attributes) -> Envelope:
    """Keep a value of which only a later release knows the shape."""
    try:
        msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable("not-json") from None
    event_id = uuid7()
    return Envelope(
        id=event_id,
        type=attributes.type_name or "",
        version=attributes.version,
        topic=topic,
        # A key of its own: nothing that is known has to wait behind it.
        key=f"unknown/{event_id}",
        record_key=None,
        payload=value,
        headers=Headers(
            correlation_id=attributes.correlation_id or str(uuid4()),
            actor=Actor(kind="external", id=topic.value),
            traceparent=attributes.traceparent,
        ),
        occurred_at=datetime.now(UTC),
        event=Event(),
    )


def _in_utc(event: Any, value: bytes) -> tuple[Any, bytes]:
    """Say in the event and in its stored value that a time without an offset is UTC."""
    moment = event.timestamp.replace(tzinfo=UTC)
    members = msgspec.json.decode(value)
    return (
        msgspec.structs.replace(event, timestamp=moment),
        msgspec.json.encode({**members, "timestamp": moment}),
    )
