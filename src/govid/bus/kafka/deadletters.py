"""Where records go that cannot be read: `<topic>.dlq`, as they came, with the reason as headers.

A record that is too large to be copied whole leaves its reason headers only. A refusal that is not
about the record itself takes nothing from the copy: the caller tries again. If even the headers are
refused for good, there is no copy, and the caller steps over the record.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer, errors

from govid.bus.kafka.faults import Fault, classify
from govid.bus.kafka.intake import Unreadable
from govid.bus.kafka.producer import Producer
from govid.bus.kafka.topics_admin import dead_letter_topic
from govid.bus.storage.errors import error_class

SEND_SECONDS = 5.0
KEPT_BYTES = 512 * 1024
"""A record whose key, value and headers are longer than this together is not copied whole."""
LAST_RESORT_SECONDS = 60.0
"""How long a topic may refuse the reason headers, or be missing, until records are stepped over."""

_TOO_LARGE = (
    errors.MessageSizeTooLargeError,
    errors.RecordTooLargeError,
    errors.RecordListTooLargeError,
)

Headers = Sequence[tuple[str, bytes | None]]


class DeadLetterRefused(Exception):
    """The dead-letter topic does not take a record now; the caller tries again."""


class DeadLetters:
    """Writes to the dead-letter topics, and waits until Kafka has it."""

    def __init__(self, producer: Producer) -> None:
        """Write through *producer*."""
        self._producer = producer
        self._limits: dict[str, int] = {}
        self._refused: dict[tuple[str, int], tuple[int, float]] = {}
        """By topic and partition, the offset of the record that is refused, and since when."""

    async def put(self, record: Any, reason: Unreadable) -> bool:
        """Write *record*, an aiokafka `ConsumerRecord`, with *reason*; tell whether that is done.

        False means that the topic has refused this record for `LAST_RESORT_SECONDS`: there is no
        copy.

        Raises:
            KafkaError, TimeoutError: Kafka is away.
            DeadLetterRefused: the topic refuses the record now.
        """
        place = (record.topic, record.partition)
        is_copied = await self._copy(record, reason)
        if not is_copied and self._refused_seconds(record) < LAST_RESORT_SECONDS:
            raise DeadLetterRefused
        # The next record that is refused has the whole time again.
        self._refused.pop(place, None)
        return is_copied

    async def _copy(self, record: Any, reason: Unreadable) -> bool:
        """Write as much of *record* as its dead-letter topic takes; tell whether it took any."""
        topic = dead_letter_topic(record.topic)
        size = _size(record)
        headers = _reason_headers(record, reason)
        if size <= self._limits.get(topic, KEPT_BYTES):
            whole = [*record.headers, *headers]
            refusal = await self._send(topic, record.partition, record.key, record.value, whole)
            if refusal is None:
                return True
            if isinstance(refusal, _TOO_LARGE):
                # Others of this size need not be refused as well.
                self._limits[topic] = size - 1
            elif self._refused_seconds(record) < LAST_RESORT_SECONDS:
                # The record need not be at fault: its content may still be copied.
                return False
        if await self._send(topic, record.partition, None, None, headers) is None:
            return True
        # It was not the size.
        self._limits.pop(topic, None)
        return False

    def _refused_seconds(self, record: Any) -> float:
        """Return for how long *record* has been refused; from now on if it was not before."""
        place, now = (record.topic, record.partition), time.monotonic()
        refused = self._refused.get(place)
        if refused is None or refused[0] != record.offset:
            refused = self._refused[place] = (record.offset, now)
        return now - refused[1]

    async def _send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Exception | None:
        """Send one record; return None if Kafka has it, or the refusal.

        Raises:
            KafkaError, TimeoutError: Kafka is away.
        """
        producer = await self._producer.ready()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await _deliver(producer, topic, partition, key, value, headers)
        except Exception as error:
            # Whatever it was, the numbering of this producer cannot be trusted any more.
            self._producer.replace(producer, error_class(error))
            if classify(error) is Fault.OUTAGE:
                raise
            return error
        return None


async def _deliver(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
) -> None:
    batch = producer.create_batch()
    batch.append(timestamp=None, key=key, value=value, headers=headers)
    partitions = await producer.partitions_for(topic)
    future = await producer.send_batch(batch, topic, partition=partition % len(partitions))
    await future


def _size(record: Any) -> int:
    headers = sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _reason_headers(record: Any, reason: Unreadable) -> Headers:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return [
        ("dlq_reason", reason.reason.encode()),
        ("dlq_place", reason.place.encode()),
        ("dlq_topic", record.topic.encode()),
        ("dlq_partition", str(record.partition).encode()),
        ("dlq_offset", str(record.offset).encode()),
        ("dlq_bytes", str(len(record.value or b"")).encode()),
        ("dlq_time", now.encode()),
    ]
