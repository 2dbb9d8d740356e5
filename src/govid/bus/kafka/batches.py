"""Builds record batches from one read of the backlog and sends them, one queue per partition.

Partitions are sent in parallel. Within a partition the next batch is sent only after the previous
one was acknowledged. A broker that has lost the state of a producer accepts any sequence number
first. So a second batch in flight could be accepted although the first one was refused, and the
records of a key would get a gap. Errors are classified by what they mean for the batch.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer, errors

from govid.bus.kafka import cloudevents
from govid.bus.kafka.producer import BATCH_BYTES


class KafkaErrorClass(StrEnum):
    """Error classes. Each has one reaction; only `POISON` is caused by the record itself."""

    OUTAGE = "outage"
    """Kafka is unavailable, or the result is unknown: send again, without a limit of attempts."""
    CONFIGURATION = "configuration"
    """The topic cannot be written to at present: pause it and serve the others."""
    POISON = "poison"
    """Kafka refuses the record permanently."""
    FATAL = "fatal"
    """The producer is unusable: replace it."""


_POISON = (
    errors.MessageSizeTooLargeError,
    errors.RecordTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.CorruptRecordException,
)
_CONFIGURATION = (
    errors.TopicAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.UnknownTopicOrPartitionError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
    errors.UnsupportedForMessageFormatError,
    # aiokafka asserts that the topic has the partition.
    AssertionError,
)
_OUTAGE = (errors.ProducerClosed, errors.KafkaTimeoutError, TimeoutError, OSError)


def classify_error(error: BaseException) -> KafkaErrorClass:
    """Return the class of *error*, which was raised for a batch of records."""
    if isinstance(error, _POISON):
        return KafkaErrorClass.POISON
    if isinstance(error, _CONFIGURATION):
        return KafkaErrorClass.CONFIGURATION
    if isinstance(error, _OUTAGE) or getattr(error, "retriable", False):
        return KafkaErrorClass.OUTAGE
    return KafkaErrorClass.FATAL


Row = Any
"""A row of `relay_backlog` with the columns of its event."""


class EventOrigin(msgspec.Struct, frozen=True):
    """The members of an event's stored headers that are published.

    A newer release may have stored more members; they are ignored.
    """

    correlation_id: str
    causation_id: UUID | None = None
    traceparent: str | None = None


_ORIGIN = msgspec.json.Decoder(EventOrigin)


class RecordBatch:
    """A batch of records for one partition, and the rows it was built from."""

    __slots__ = ("builder", "partition", "rows", "topic")

    def __init__(self, builder: Any, topic: str, partition: int) -> None:
        """Start an empty batch for *partition* of *topic* (its name in Kafka)."""
        self.builder = builder
        self.topic = topic
        self.partition = partition
        self.rows: list[Row] = []

    def append_row(self, row: Row, limit_bytes: int, installation: str | None = None) -> bool:
        """Append *row* and return whether it fitted. The first row ignores *limit_bytes*."""
        if self.rows and self.builder.size() >= limit_bytes:
            return False
        key = row["record_key"]
        added = self.builder.append(
            timestamp=None,
            key=None if key is None else key.encode(),
            value=row["payload"].encode(),
            headers=_build_record_headers(row, installation),
        )
        if added is None:
            return False
        self.rows.append(row)
        return True


class RecordPosition(msgspec.Struct, frozen=True):
    """Topic, partition and offset of a record.

    The offset is -1 if Kafka acknowledged a duplicate and did not return its offset.
    """

    topic: str
    partition: int
    offset: int


class SendFailure(msgspec.Struct, frozen=True):
    """A batch that was refused or not acknowledged in time."""

    batch: RecordBatch
    error: BaseException


class BatchSender:
    """Sends the batches of one read and collects positions and failures."""

    def __init__(self) -> None:
        """Start with no acknowledged record."""
        self.positions: dict[int, RecordPosition] = {}
        """Positions of the acknowledged records, by the `pos` of the delivery."""
        self.failures: list[SendFailure] = []

    async def send_all(
        self, producer: AIOKafkaProducer, queues: Iterable[list[RecordBatch]], seconds: float
    ) -> None:
        """Send all *queues*, and return when they are empty or after *seconds*.

        A record that is in no result then has an unknown outcome.
        """
        tasks = [asyncio.create_task(self._send_queue(producer, batches)) for batches in queues]
        _, unfinished = await asyncio.wait(tasks, timeout=seconds)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)

    async def _send_queue(self, producer: AIOKafkaProducer, batches: list[RecordBatch]) -> None:
        for batch in batches:
            try:
                batch.builder.close()
                future = await producer.send_batch(
                    batch.builder, batch.topic, partition=batch.partition
                )
                metadata = await future
            except asyncio.CancelledError:
                self.failures.append(SendFailure(batch, TimeoutError()))
                raise
            except Exception as error:  # noqa: BLE001 - edge of the relay: every error is classified
                self.failures.append(SendFailure(batch, error))
                return
            first = metadata.offset
            for index, row in enumerate(batch.rows):
                offset = first + index if first >= 0 else -1
                self.positions[row["pos"]] = RecordPosition(batch.topic, batch.partition, offset)

    def select_completable(self, rows: Iterable[Row]) -> list[Row]:
        """Return the *rows* to complete: of each key, those acknowledged without a gap."""
        result: list[Row] = []
        blocked_keys: set[str] = set()
        for row in rows:
            key = row["key"]
            if row["pos"] not in self.positions:
                blocked_keys.add(key)
            elif key is None or key not in blocked_keys:
                result.append(row)
        return result


def build_batches(
    producer: AIOKafkaProducer,
    rows: Iterable[Row],
    wire_name: Callable[[str], str],
    partitions: Callable[[str], int | None],
    limits: Mapping[str, int],
    installation: str | None = None,
) -> tuple[list[list[RecordBatch]], set[str]]:
    """Build batches of *rows* in their order; return the queues, and unwritable topics.

    The partition is chosen by the record key, else by the ordering key, else by the event id.
    """
    queues: dict[tuple[str, int], list[RecordBatch]] = {}
    unwritable: set[str] = set()
    for row in rows:
        topic = wire_name(row["topic"])
        count = partitions(topic)
        if count is None:
            unwritable.add(row["topic"])
            continue
        key = row["record_key"] or row["key"] or str(row["event_id"])
        partition = cloudevents.partition_for(key, count)
        queue = queues.setdefault((topic, partition), [])
        limit = limits.get(topic, BATCH_BYTES)
        if not queue or not queue[-1].append_row(row, limit, installation):
            queue.append(RecordBatch(producer.create_batch(), topic, partition))
            queue[-1].append_row(row, limit, installation)
    return list(queues.values()), unwritable


def _build_record_headers(row: Row, installation: str | None) -> cloudevents.RecordHeaders:
    origin = _ORIGIN.decode(row["headers"])
    return cloudevents.build_headers(
        event_id=row["event_id"],
        type_name=row["type"],
        version=row["version"],
        occurred_at=row["occurred_at"],
        correlation_id=origin.correlation_id,
        subject=row["record_key"],
        sequence=row["seq"],
        causation_id=origin.causation_id,
        traceparent=origin.traceparent,
        replay_id=row["replay_id"],
        installation=installation,
    )
