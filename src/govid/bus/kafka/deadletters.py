"""Publishes unreadable records to the dead-letter topic `<topic>.dlq`, with the reason as headers.

A record that is too large to be copied leaves its reason headers only. After a refusal that does
not concern the record itself, the caller retries and the copy stays complete. If even the headers
are refused permanently, there is no copy, and the caller skips the record.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer, errors

from govid.bus.kafka.faults import KafkaErrorClass, classify_error
from govid.bus.kafka.intake import UnreadableRecord
from govid.bus.kafka.producer import ManagedProducer
from govid.bus.kafka.topics_admin import dead_letter_topic
from govid.bus.storage.errors import error_class

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

    async def publish(self, record: Any, reason: UnreadableRecord) -> bool:
        """Publish *record*, an aiokafka `ConsumerRecord`, with *reason*; return whether it worked.

        False means that the topic has refused this record for `SKIP_AFTER_SECONDS` and that there
        is no copy.

        Raises:
            KafkaError, TimeoutError: Kafka is unavailable.
            DeadLetterRefused: the topic refuses the record at present.
        """
        key = (record.topic, record.partition)
        is_copied = await self._copy(record, reason)
        if not is_copied and self._refused_seconds(record) < SKIP_AFTER_SECONDS:
            raise DeadLetterRefused
        # The next refused record gets the full time again.
        self._refused.pop(key, None)
        return is_copied

    async def _copy(self, record: Any, reason: UnreadableRecord) -> bool:
        """Publish as much of *record* as its dead-letter topic accepts; return whether it did."""
        topic = dead_letter_topic(record.topic)
        size = _record_size(record)
        headers = _reason_headers(record, reason)
        if size <= self._limits.get(topic, MAX_COPY_BYTES):
            whole = [*record.headers, *headers]
            refusal = await self._send(topic, record.partition, record.key, record.value, whole)
            if refusal is None:
                return True
            if isinstance(refusal, _TOO_LARGE):
                # Do not try to copy other records of this size.
                self._limits[topic] = size - 1
            elif self._refused_seconds(record) < SKIP_AFTER_SECONDS:
                # The record may not be the cause: its content may still be copied later.
                return False
        if await self._send(topic, record.partition, None, None, headers) is None:
            return True
        # The size was not the cause.
        self._limits.pop(topic, None)
        return False

    def _refused_seconds(self, record: Any) -> float:
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
            self._producer.replace(producer, error_class(error))
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


def _reason_headers(record: Any, reason: UnreadableRecord) -> DeadLetterHeaders:
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
