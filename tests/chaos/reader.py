"""Reads everything that Kafka holds of a run, past the proxy, when all is quiet again."""

from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

SECONDS = 20


class Record(NamedTuple):
    """One record, as far as it can be compared."""

    topic: str
    partition: int
    offset: int
    key: str | None
    event_id: str
    n: int
    timestamp: int = 0
    """When it was made or stored, in milliseconds, as its topic has it."""

    @property
    def place(self) -> tuple[str, int, int]:
        """Return the topic, partition and offset at which it is or was."""
        return self.topic, self.partition, self.offset


class Value(msgspec.Struct, frozen=True):
    """The member of a record that holds the number of its event: it depends on the type."""

    correlation_id: str | None = None
    error: str | None = None
    reason: str | None = None

    @property
    def number(self) -> int:
        """Return the number that its writer has given it."""
        return int(self.correlation_id or self.error or self.reason or 0)


def read(address: str, topics: Sequence[str]) -> list[Record]:
    """Return all records of *topics*, those of a partition in their order.

    Raises:
        RuntimeError: Kafka did not give them all.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "chaos.reader",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    records: list[Record] = []
    try:
        places = _places(consumer, topics)
        left = sum(_end(consumer, place) - place.offset for place in places)
        consumer.assign(places)
        while left > 0:
            messages = consumer.consume(min(left, 10_000), SECONDS)
            if not messages or any(message.error() for message in messages):
                raise RuntimeError(f"Kafka gave all but {left} records")
            records += map(_record, messages)
            left -= len(messages)
    finally:
        consumer.close()
    return records


def remove(address: str, topic: str, removed: MutableMapping[tuple[str, int, int], Record]) -> None:
    """Let Kafka remove all records that *topic* has now; note them in *removed* before.

    Raises:
        RuntimeError, KafkaException: they were not all read, or not removed for sure.
    """
    removed |= {record.place: record for record in read(address, [topic])}
    ends: dict[int, int] = {}
    for _, partition, offset in removed:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    places = [TopicPartition(topic, partition, end) for partition, end in ends.items()]
    for done in client.delete_records(places, request_timeout=SECONDS).values():
        done.result()


def ends_of(address: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Return the end offset of each partition of *topics*."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "chaos.reader"})
    try:
        return {(p.topic, p.partition): _end(consumer, p) for p in _places(consumer, topics)}
    finally:
        consumer.close()


def _places(consumer: Consumer, topics: Sequence[str]) -> list[TopicPartition]:
    """Return where each partition of *topics* begins."""
    known = consumer.list_topics(timeout=SECONDS).topics
    places = [TopicPartition(t, number) for t in topics for number in known[t].partitions]
    for place in places:
        place.offset = int(consumer.get_watermark_offsets(place, timeout=SECONDS)[0])
    return places


def _end(consumer: Consumer, place: TopicPartition) -> int:
    return int(consumer.get_watermark_offsets(place, timeout=SECONDS)[1])


def _record(message: Any) -> Record:
    headers = dict(message.headers() or [])
    key = message.key()
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        None if key is None else key.decode(),
        headers["ce_id"].decode(),
        msgspec.json.decode(message.value(), type=Value).number,
        message.timestamp()[1],
    )
