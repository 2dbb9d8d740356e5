"""Where records go that cannot be read: `<topic>.dlq`, as they came, with the reason as headers."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from govid.bus.kafka.intake import Unreadable
from govid.bus.kafka.producer import Producer
from govid.bus.kafka.topics_admin import dead_letter_topic
from govid.bus.storage.errors import error_class

SEND_SECONDS = 5.0
KEPT_BYTES = 512 * 1024
"""A value longer than this stays where it is: with the headers it might not fit any more."""


class DeadLetters:
    """Writes to the dead-letter topics, and waits until Kafka has it."""

    def __init__(self, producer: Producer) -> None:
        """Write through *producer*."""
        self._producer = producer

    async def put(self, record: Any, reason: Unreadable) -> None:
        """Write *record*, an aiokafka `ConsumerRecord`, with *reason*."""
        producer = await self._producer.ready()
        headers_bytes = sum(len(name) + len(value or b"") for name, value in record.headers)
        whole = len(record.value or b"") + headers_bytes <= KEPT_BYTES
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        headers = [
            *(record.headers if whole else ()),
            ("dlq_reason", reason.reason.encode()),
            ("dlq_place", reason.place.encode()),
            ("dlq_topic", record.topic.encode()),
            ("dlq_partition", str(record.partition).encode()),
            ("dlq_offset", str(record.offset).encode()),
            ("dlq_bytes", str(len(record.value or b"")).encode()),
            ("dlq_time", now.encode()),
        ]
        batch = producer.create_batch()
        batch.append(
            timestamp=None,
            key=record.key,
            value=record.value if whole else None,
            headers=headers,
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                partitions = await producer.partitions_for(topic := dead_letter_topic(record.topic))
                future = await producer.send_batch(
                    batch, topic, partition=record.partition % len(partitions)
                )
                await future
        except Exception as error:
            # Whatever it was, the numbering of this producer cannot be trusted any more.
            self._producer.replace(producer, error_class(error))
            raise
