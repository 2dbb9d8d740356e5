"""One read of the backlog on its way to Kafka: packed into batches, a lane for each partition.

Partitions go side by side. Within one the next batch leaves only when the last is acknowledged: a
broker that has forgotten a producer accepts whatever number comes first, so a second batch under
way could overtake a first one that was refused, and a key would get a gap.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer

from govid.bus.kafka import codec
from govid.bus.kafka.producer import BATCH_BYTES

Row = Any
"""A row of `relay_backlog` with its event, by the names of their columns."""


class Origin(msgspec.Struct, frozen=True):
    """What of an event's stored origin goes out. A newer release may have stored more."""

    correlation_id: str
    causation_id: UUID | None = None
    traceparent: str | None = None


_ORIGIN = msgspec.json.Decoder(Origin)


class Parcel:
    """A batch for one partition, and the rows in it."""

    __slots__ = ("builder", "partition", "rows", "topic")

    def __init__(self, builder: Any, topic: str, partition: int) -> None:
        """Start an empty batch for *partition* of *topic* (its name on the wire)."""
        self.builder = builder
        self.topic = topic
        self.partition = partition
        self.rows: list[Row] = []

    def add(self, row: Row, limit_bytes: int, installation: str | None = None) -> bool:
        """Append *row*; tell whether there was room. The first always finds some."""
        if self.rows and self.builder.size() >= limit_bytes:
            return False
        key = row["record_key"]
        taken = self.builder.append(
            timestamp=None,
            key=None if key is None else key.encode(),
            value=row["payload"].encode(),
            headers=_headers(row, installation),
        )
        if taken is None:
            return False
        self.rows.append(row)
        return True


class Place(msgspec.Struct, frozen=True):
    """Where a record stands in Kafka. The offset is -1 where Kafka knows only that it has it."""

    topic: str
    partition: int
    offset: int


class Refusal(msgspec.Struct, frozen=True):
    """A batch that did not arrive, as far as anybody knows."""

    parcel: Parcel
    error: BaseException


class Shipment:
    """What one read became."""

    def __init__(self) -> None:
        """Start with nothing acknowledged."""
        self.places: dict[int, Place] = {}
        """Where the acknowledged ones stand, by position."""
        self.refusals: list[Refusal] = []

    async def send(
        self, producer: AIOKafkaProducer, lanes: Iterable[list[Parcel]], seconds: float
    ) -> None:
        """Send all *lanes*, and return when they are through or after *seconds*.

        What is in neither list then has an unknown outcome.
        """
        tasks = [asyncio.create_task(self._lane(producer, parcels)) for parcels in lanes]
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _lane(self, producer: AIOKafkaProducer, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            try:
                parcel.builder.close()
                future = await producer.send_batch(
                    parcel.builder, parcel.topic, partition=parcel.partition
                )
                metadata = await future
            except asyncio.CancelledError:
                self.refusals.append(Refusal(parcel, TimeoutError()))
                raise
            except Exception as error:  # noqa: BLE001 - the relay's edge: every error is classified
                self.refusals.append(Refusal(parcel, error))
                return
            first = metadata.offset
            for index, row in enumerate(parcel.rows):
                offset = first + index if first >= 0 else -1
                self.places[row["pos"]] = Place(parcel.topic, parcel.partition, offset)

    def acknowledged(self, rows: Iterable[Row]) -> list[Row]:
        """Return those of *rows* that may be struck off: of each key what arrived without a gap."""
        result: list[Row] = []
        stuck: set[str] = set()
        for row in rows:
            key = row["key"]
            if row["pos"] not in self.places:
                stuck.add(key)
            elif key is None or key not in stuck:
                result.append(row)
        return result


def pack(
    producer: AIOKafkaProducer,
    rows: Iterable[Row],
    wire_name: Callable[[str], str],
    partitions: Callable[[str], int | None],
    limits: Mapping[str, int],
    installation: str | None = None,
) -> tuple[list[list[Parcel]], set[str]]:
    """Put *rows* into batches, in their order; return the lanes, and topics that take nothing.

    The key of a partition is the record's, or the one that orders the event, or the event's id.
    """
    lanes: dict[tuple[str, int], list[Parcel]] = {}
    closed: set[str] = set()
    for row in rows:
        topic = wire_name(row["topic"])
        count = partitions(topic)
        if count is None:
            closed.add(row["topic"])
            continue
        key = row["record_key"] or row["key"] or str(row["event_id"])
        partition = codec.partition_for(key, count)
        lane = lanes.setdefault((topic, partition), [])
        limit = limits.get(topic, BATCH_BYTES)
        if not lane or not lane[-1].add(row, limit, installation):
            lane.append(Parcel(producer.create_batch(), topic, partition))
            lane[-1].add(row, limit, installation)
    return list(lanes.values()), closed


def _headers(row: Row, installation: str | None) -> codec.RecordHeaders:
    origin = _ORIGIN.decode(row["headers"])
    return codec.headers(
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
