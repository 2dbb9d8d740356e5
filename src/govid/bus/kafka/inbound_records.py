"""Parses foreign records into events, and publishes invalid ones to the dead-letter topic.

Any producer with write access may write anything. A record that cannot be decoded, or is no event
of its topic, goes to `<topic>.dlq` as it came, with the reason as headers. Neither the reason nor
the path may quote the value (I9). A record that is too large to be copied leaves its reason headers
only. After another refusal the caller retries for `SKIP_AFTER_SECONDS`, so that the copy stays
complete; after that time the headers alone are sent. If they are refused too, there is no copy, and
the caller skips the record.

Other fates of a record, and other dead letters, are listed in `inbox.py`. The records of a batch
that cannot be decoded are never parsed here: their partition stops (`partition_reader.py`).
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import msgspec
from aiokafka import AIOKafkaProducer, errors

from govid.bus.events import DeathNotified, Event, Topic, VerificationCompleted
from govid.bus.events.envelope import EnvelopeFactory, EventEnvelope, EventHeaders
from govid.bus.events.registry import verification_result_struct
from govid.bus.kafka import cloudevents
from govid.bus.kafka.batches import KafkaErrorClass, classify_error
from govid.bus.kafka.producer import ManagedProducer
from govid.bus.kafka.topics import dead_letter_topic
from govid.bus.shared.context import Actor, OperationContext
from govid.bus.shared.ids import uuid7
from govid.bus.storage.errors import error_class_name

MAX_VALUE_BYTES = 256 * 1024
_PATH = re.compile(r"at `(\$[\w.]*)`")
_MISSING = re.compile(r"missing required field `(\w+)`")
INBOUND_STRUCTS: dict[Topic, type[Event]] = {
    Topic.VERIFICATION_RESULT: VerificationCompleted,
    Topic.DEATH_NOTIFICATION: DeathNotified,
}


class IdentityBasis(StrEnum):
    """What identifies a record (ADR-0022)."""

    SOURCE = "source"
    """The source and the id that it assigned. The pair identifies one content."""
    BARE_ID = "bare id"
    """An id without a source, together with the content: two senders may use the same id."""
    POSITION = "place"
    """Topic, partition and offset, together with timestamp and content.

    The position alone is not enough: it occurs again if the topic is created again.
    """


class InvalidRecord(Exception):
    """The record cannot be decoded, is not an event of its topic, or cannot be stored."""

    def __init__(self, reason: str, path: str = "") -> None:
        """Give a *reason* for machines and the *path* in the value, never the value itself."""
        self.reason = reason
        self.path = path
        super().__init__(reason)


class InboundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed record that can be stored.

    `is_supported_version` is false for event versions that this release cannot handle.
    `own_event_id` is set if the id has the form of govid's ids: the record may be an echo of the
    event with this `value`.

    `foreign_hash` is the hash of the claimed identity, `digest` the hash of the content.
    """

    envelope: EventEnvelope
    basis: IdentityBasis
    source: str
    foreign_id: str
    foreign_hash: bytes
    digest: bytes
    own_event_id: UUID | None
    value: str
    is_supported_version: bool

    @property
    def content_hash(self) -> bytes:
        """Return the hash of identity and content, for a claimed identity that is already taken."""
        return hashlib.sha256(self.foreign_hash + self.digest).digest()


class InboundRecordParser:
    """Parses the records of the inbound topics into envelopes."""

    def __init__(self, envelope_factory: EnvelopeFactory, generation: str) -> None:
        """Make positions unique by *generation*, the start of a broker that keeps nothing."""
        self._envelope_factory = envelope_factory
        self._generation = generation
        self._decoders = {
            topic: msgspec.json.Decoder(shape) for topic, shape in INBOUND_STRUCTS.items()
        }
        self._types = {
            topic: {
                (event_type.name, event_type.version)
                for event_type in envelope_factory.registry.types
                if event_type.topic is topic
            }
            for topic in INBOUND_STRUCTS
        }
        self._names = {topic: {name for name, _ in self._types[topic]} for topic in INBOUND_STRUCTS}

    def parse(self, topic: Topic, record: Any) -> InboundRecord:
        """Parse *record*, an aiokafka `ConsumerRecord` of *topic*.

        Raises:
            InvalidRecord: the record has to be dead-lettered.
        """
        try:
            return self._parse(topic, record)
        except InvalidRecord:
            raise
        except Exception as error:  # noqa: BLE001 - an edge: no record stops the inbox
            # An unforeseen record must not stop the records behind it.
            # `from None`: the text of the error may quote the value.
            raise InvalidRecord("unforeseen", error_class_name(error)) from None

    def _parse(self, topic: Topic, record: Any) -> InboundRecord:
        attributes = cloudevents.parse_attributes(record.headers)
        type_name = attributes.type_name
        # A type unknown to govid is ignored: the topic decides how its records are decoded.
        known = (
            type_name not in self._names[topic]
            or (type_name, attributes.version) in self._types[topic]
        )
        value = _check_value(record.value)
        envelope = (
            self._build_known_envelope(topic, value, attributes)
            if known
            else _build_unknown_envelope(topic, value, attributes)
        )
        basis, source, foreign_id = self._identify(topic, record, attributes)
        digest = _content_digest(record.key, value)
        if basis is IdentityBasis.POSITION:
            digest = _content_digest(str(record.timestamp).encode(), digest)
        return InboundRecord(
            envelope=envelope,
            basis=basis,
            source=source,
            foreign_id=cloudevents.decode_escaped(foreign_id),
            foreign_hash=hashlib.sha256(source.encode() + b"\0" + foreign_id).digest(),
            digest=digest,
            own_event_id=attributes.own_event_id,
            value=value.decode(),
            is_supported_version=known,
        )

    def _build_known_envelope(
        self, topic: Topic, value: bytes, attributes: cloudevents.RecordAttributes
    ) -> EventEnvelope:
        try:
            event: Any = self._decoders[topic].decode(value)
        except msgspec.ValidationError as error:
            # `from None`: the text of the error may quote the value.
            raise InvalidRecord("wrong-shape", _parse_error_path(str(error))) from None
        except (msgspec.DecodeError, RecursionError):
            raise InvalidRecord("not-json") from None
        for name, wire_name in zip(
            event.__struct_fields__, event.__struct_encode_fields__, strict=True
        ):
            # PostgreSQL's text type holds every character except NUL.
            if "\x00" in str(getattr(event, name)):
                raise InvalidRecord("wrong-shape", f"$.{wire_name}")
        if isinstance(event, VerificationCompleted):
            struct = verification_result_struct(event.identifier_type)
            event = struct(**msgspec.structs.asdict(event))
        if event.timestamp.tzinfo is None:
            try:
                event, value = _to_utc(event, value)
            except (msgspec.DecodeError, RecursionError):
                # A member that the struct ignores holds a value that cannot be encoded again.
                raise InvalidRecord("not-json") from None
        context = OperationContext(
            correlation_id=attributes.correlation_id or str(uuid4()),
            actor=Actor(kind="external", id=topic.value),
            traceparent=attributes.traceparent,
        )
        envelope = self._envelope_factory.build(event, context, datetime.now(UTC))
        return msgspec.structs.replace(envelope, payload=value)

    def _identify(
        self, topic: Topic, record: Any, attributes: cloudevents.RecordAttributes
    ) -> tuple[IdentityBasis, str, bytes]:
        if attributes.event_id is not None:
            basis = IdentityBasis.SOURCE if attributes.source else IdentityBasis.BARE_ID
            return basis, f"{topic.value} {attributes.source}", attributes.event_id
        position = f"{self._generation}/{record.topic}/{record.partition}/{record.offset}"
        return IdentityBasis.POSITION, f"{topic.value} by place", position.encode()


def _content_digest(key: bytes | None, value: bytes) -> bytes:
    """Return the SHA-256 of *key* and *value*, including the length of the key."""
    length = -1 if key is None else len(key)
    return hashlib.sha256(b"%d:%b%b" % (length, key or b"", value)).digest()


def _parse_error_path(error: str) -> str:
    """Return the path in the text of a `ValidationError`, with the name of a missing member."""
    place = _PATH.search(error)
    missing = _MISSING.search(error)
    return (place[1] if place else "$") + (f".{missing[1]}" if missing else "")


def _check_value(value: bytes | None) -> bytes:
    if not value:
        raise InvalidRecord("empty")
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidRecord("too-big")
    try:
        value.decode()
    except UnicodeDecodeError:
        raise InvalidRecord("not-json") from None
    return value


def _build_unknown_envelope(
    topic: Topic, value: bytes, attributes: cloudevents.RecordAttributes
) -> EventEnvelope:
    """Build an envelope for a value that only another release can decode."""
    try:
        msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRecord("not-json") from None
    event_id = uuid7()
    return EventEnvelope(
        id=event_id,
        type=attributes.type_name or "",
        version=attributes.version,
        topic=topic,
        # A separate key: no known event has to wait behind this one.
        key=f"unknown/{event_id}",
        record_key=None,
        payload=value,
        headers=EventHeaders(
            correlation_id=attributes.correlation_id or str(uuid4()),
            actor=Actor(kind="external", id=topic.value),
            traceparent=attributes.traceparent,
        ),
        occurred_at=datetime.now(UTC),
        event=Event(),
    )


def _to_utc(event: Any, value: bytes) -> tuple[Any, bytes]:
    """Add the offset of UTC to the timestamp in the event and in its stored value."""
    moment = event.timestamp.replace(tzinfo=UTC)
    members = msgspec.json.decode(value)
    return (
        msgspec.structs.replace(event, timestamp=moment),
        msgspec.json.encode({**members, "timestamp": moment}),
    )


SEND_SECONDS = 5.0
MAX_COPY_BYTES = 512 * 1024
"""Maximum size of key, value and headers together of a record that is copied completely."""
SKIP_AFTER_SECONDS = 60.0
"""How long a topic may refuse the reason headers, or be missing, before a record is skipped."""

_TOO_LARGE = (
    errors.MessageSizeTooLargeError,
    errors.RecordTooLargeError,
    errors.RecordListTooLargeError,
)

DeadLetterHeaders = Sequence[tuple[str, bytes | None]]


class DeadLetterRefused(Exception):
    """The dead-letter topic refuses the record at present; the caller retries."""


class DeadLetterPublisher:
    """Publishes dead letters and waits for the acknowledgement of Kafka."""

    def __init__(self, producer: ManagedProducer) -> None:
        """Publish through *producer*."""
        self._producer = producer
        self._limits: dict[str, int] = {}
        self._refused: dict[tuple[str, int], tuple[int, float]] = {}
        """By topic and partition: offset of the refused record, and since when it is refused."""

    async def publish(self, record: Any, reason: InvalidRecord) -> bool:
        """Publish *record*, an aiokafka `ConsumerRecord`, with *reason*; return whether it worked.

        False means that the topic has refused this record for `SKIP_AFTER_SECONDS` and that there
        is no copy.

        Raises:
            KafkaError, TimeoutError: Kafka is unavailable.
            DeadLetterRefused: the topic refuses the record at present.
        """
        key = (record.topic, record.partition)
        is_copied = await self._publish_copy(record, reason)
        if not is_copied and self._seconds_since_refusal(record) < SKIP_AFTER_SECONDS:
            raise DeadLetterRefused
        # The next refused record gets the full time again.
        self._refused.pop(key, None)
        return is_copied

    async def _publish_copy(self, record: Any, reason: InvalidRecord) -> bool:
        """Publish as much of *record* as its dead-letter topic accepts; return whether it did."""
        topic = dead_letter_topic(record.topic)
        size = _record_size(record)
        headers = _build_reason_headers(record, reason)
        if size <= self._limits.get(topic, MAX_COPY_BYTES):
            whole = [*record.headers, *headers]
            refusal = await self._send(topic, record.partition, record.key, record.value, whole)
            if refusal is None:
                return True
            if isinstance(refusal, _TOO_LARGE):
                # Do not try to copy other records of this size.
                self._limits[topic] = size - 1
            elif self._seconds_since_refusal(record) < SKIP_AFTER_SECONDS:
                # The record may not be the cause: its content may still be copied later.
                return False
        if await self._send(topic, record.partition, None, None, headers) is None:
            return True
        # The size was not the cause.
        self._limits.pop(topic, None)
        return False

    def _seconds_since_refusal(self, record: Any) -> float:
        """Return for how long *record* has been refused; its first refusal starts the time."""
        key, now = (record.topic, record.partition), time.monotonic()
        refused = self._refused.get(key)
        if refused is None or refused[0] != record.offset:
            refused = self._refused[key] = (record.offset, now)
        return now - refused[1]

    async def _send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: DeadLetterHeaders,
    ) -> Exception | None:
        """Send one record; return None if it was acknowledged, else the refusal.

        Raises:
            KafkaError, TimeoutError: Kafka is unavailable.
        """
        producer = await self._producer.wait_until_ready()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await _send_to_partition(producer, topic, partition, key, value, headers)
        except Exception as error:
            # After any error the batch numbering of this producer is in doubt.
            self._producer.replace(producer, error_class_name(error))
            if classify_error(error) is KafkaErrorClass.OUTAGE:
                raise
            return error
        return None


async def _send_to_partition(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: DeadLetterHeaders,
) -> None:
    batch = producer.create_batch()
    batch.append(timestamp=None, key=key, value=value, headers=headers)
    partitions = await producer.partitions_for(topic)
    future = await producer.send_batch(batch, topic, partition=partition % len(partitions))
    await future


def _record_size(record: Any) -> int:
    headers = sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _build_reason_headers(record: Any, reason: InvalidRecord) -> DeadLetterHeaders:
    # The names are permanent; `dlq_place` is the path in the value.
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return [
        ("dlq_reason", reason.reason.encode()),
        ("dlq_place", reason.path.encode()),
        ("dlq_topic", record.topic.encode()),
        ("dlq_partition", str(record.partition).encode()),
        ("dlq_offset", str(record.offset).encode()),
        ("dlq_bytes", str(len(record.value or b"")).encode()),
        ("dlq_time", now.encode()),
    ]
