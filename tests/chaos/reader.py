"""Reads everything that Kafka holds of a run, past the proxy, when all is quiet again."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

SECONDS = 20


class Record(NamedTuple):
    """One record, as far as it can be compared."""

    topic: str
    partition: int
    offset: int
    key: str | None
    event_id: str
    n: int


class Value(msgspec.Struct, frozen=True):
    """Where the number of an event stands in its record: it depends on the type."""

    correlation_id: str | None = None
    error: str | None = None
    reason: str | None = None

    @property
    def number(self) -> int:
        """Return the number that its writer has given it."""
        return int(self.correlation_id or self.error or self.reason or 0)


def read(address: str, topics: Sequence[str]) -> list[Record]:
    """Return all records of *topics*, partition by partition, in their order.

    Raises:
        RuntimeError: Kafka did not give them all.
    """
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "chaos.reader", "enable.auto.commit": False}
    )
    records: list[Record] = []
    try:
        known = consumer.list_topics(timeout=SECONDS).topics
        for topic in topics:
            for partition in sorted(known[topic].partitions):
                records += _partition(consumer, TopicPartition(topic, partition, 0))
    finally:
        consumer.close()
    return records


def _partition(consumer: Consumer, start: TopicPartition) -> list[Record]:
    _, end = consumer.get_watermark_offsets(start, timeout=SECONDS)
    consumer.assign([start])
    records: list[Record] = []
    position = 0
    while position < end:
        message = consumer.poll(SECONDS)
        if message is None or message.error():
            raise RuntimeError(f"Kafka gave {start.topic} up to {position} of {end} only")
        position = message.offset() + 1
        headers = dict(message.headers() or [])
        key = message.key()
        records.append(
            Record(
                start.topic,
                start.partition,
                message.offset(),
                None if key is None else key.decode(),
                headers["ce_id"].decode(),
                msgspec.json.decode(message.value(), type=Value).number,
            )
        )
    return records
