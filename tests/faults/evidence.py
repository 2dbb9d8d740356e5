"""Reads the state after a fault from PostgreSQL and Kafka, not from govid."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg
from confluent_kafka import Consumer, TopicPartition

REQUEST = "identity.verification.request"
RESULT = "identity.verification.result"
WAITING = "pending_verification"


class AccountTotals(NamedTuple):
    """The state of the database: accounts by status, and deliveries that are not done."""

    accounts: Mapping[str, int]
    pending: int
    parked: int
    dead: int


class Record(NamedTuple):
    """One record of Kafka, as far as it can be compared."""

    key: str
    event_id: UUID
    sequence: int
    place: str = ""
    """Topic, partition and offset, as in the findings of `govid outbox verify`."""


async def read_totals(database_url: str) -> AccountTotals:
    """Read the state now."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT status, count(*) FROM identity.account GROUP BY 1")
        counts = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM bus.delivery), (SELECT count(*) FROM bus.parked),"
            " (SELECT count(*) FROM bus.dead)"
        )
        return AccountTotals({row[0]: row[1] for row in rows}, *counts)
    finally:
        await connection.close()


async def wait_until_verified(database_url: str, seconds: float) -> AccountTotals:
    """Return the state once no account waits any more, or as it is when the time is over."""
    return await _until(lambda now: WAITING not in now.accounts, database_url, seconds)


async def wait_until_settled(database_url: str, seconds: float) -> AccountTotals:
    """Return the state once nothing is pending any more, or as it is when the time is over."""
    return await _until(
        lambda now: WAITING not in now.accounts and not now.pending, database_url, seconds
    )


async def stored(database_url: str, topic: str) -> dict[str, list[UUID]]:
    """Return the ids of *topic*'s events in the outbox, by account, in the order of their keys."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT record_key, id FROM bus.event WHERE topic = $1 ORDER BY key, seq", topic
        )
    finally:
        await connection.close()
    found = defaultdict(list)
    for row in rows:
        found[row["record_key"]].append(row["id"])
    return dict(found)


def published(kafka: str, topic: str) -> list[Record]:
    """Return all records of *topic* from the first to the last, partition by partition."""
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "evidence", "enable.auto.commit": False}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        return [
            record
            for partition in sorted(partitions)
            for record in _partition(consumer, TopicPartition(topic, partition, 0))
        ]
    finally:
        consumer.close()


def first_arrivals(records: Iterable[Record]) -> dict[str, list[UUID]]:
    """Return the ids by account in order of their first arrival.

    A relay that dies between Kafka's acknowledgement and its own COMMIT sends a record twice, with
    one and the same id: consumers know it by that, and it counts once.
    """
    found: dict[str, dict[UUID, None]] = defaultdict(dict)
    for record in records:
        found[record.key].setdefault(record.event_id)
    return {key: list(ids) for key, ids in found.items()}


async def _until(
    holds: Callable[[AccountTotals], bool], database_url: str, seconds: float
) -> AccountTotals:
    deadline = time.monotonic() + seconds
    while True:
        now = await read_totals(database_url)
        if holds(now) or time.monotonic() > deadline:
            return now
        await asyncio.sleep(0.1)


def _partition(consumer: Consumer, start: TopicPartition) -> Sequence[Record]:
    _, end = consumer.get_watermark_offsets(start, timeout=20)
    consumer.assign([start])
    records: list[Record] = []
    offset = 0
    while offset < end:
        message = consumer.poll(20)
        if message is None or message.error():
            raise RuntimeError(f"Kafka gave {start.topic} up to {offset} of {end} only")
        offset = message.offset() + 1
        headers = dict(message.headers() or [])
        records.append(
            Record(
                (message.key() or b"").decode(),
                UUID(headers["ce_id"].decode()),
                int(headers["ce_sequence"]),
                f"{start.topic}/{start.partition}/{message.offset()}",
            )
        )
    return records
