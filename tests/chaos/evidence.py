"""Asks the database and Kafka, past the proxies, what there is."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from govid.bus import BusSettings
from govid.bus.events import Topic
from tests.chaos.checker import Command, Effect, Evidence
from tests.chaos.consumers import DEATHS
from tests.chaos.operator_commands import Gap
from tests.chaos.reader import Record, read

TOPICS_SECONDS = 60

TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relnamespace IN ('bus'::regnamespace, 'chaos'::regnamespace)
      AND relkind IN ('r', 'p') AND NOT relispartition
"""
PENDING = "SELECT count(*) FROM bus.delivery"
NOTED = "SELECT count(DISTINCT (subject, n)) FROM chaos.effect WHERE subscriber = $1"
GAP_ROWS = "SELECT topic, partition, first, (next - first)::int AS count FROM bus.inbox_gap"
COMMANDS = "SELECT id, stream, account::text, n FROM chaos.command ORDER BY id"
EFFECTS = "SELECT subscriber, event_id::text, subject, n FROM chaos.effect ORDER BY place"
# A stream's own count is the number of its last event: none may be missing at the end either.
GAPS = """
    SELECT count(*) FROM (
        SELECT s.key FROM bus.stream s LEFT JOIN bus.event e USING (key)
        GROUP BY s.key, s.seq
        HAVING count(e.seq) <> s.seq OR count(DISTINCT e.seq) <> s.seq OR max(e.seq) <> s.seq
    ) AS broken
"""
LEFT = """
    SELECT (SELECT count(*) FROM bus.event), (SELECT count(*) FROM bus.delivery),
           (SELECT count(*) FROM bus.parked), (SELECT count(*) FROM bus.dead)
"""


async def until_topics_exist(address: str, topics: Sequence[str]) -> None:
    """Return once the replicas have made all *topics*."""
    client = AdminClient({"bootstrap.servers": address})
    async with asyncio.timeout(TOPICS_SECONDS):
        while not await asyncio.to_thread(_exist, client, topics):
            await asyncio.sleep(0.05)


async def until_positions_are_known(address: str, group: str, topic: str) -> None:
    """Return once the replicas have committed where they begin in each partition of *topic*.

    What is removed before that was never theirs to read.
    """
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "log_level": 0})
    try:
        async with asyncio.timeout(TOPICS_SECONDS):
            while not await asyncio.to_thread(_are_known, consumer, topic):
                await asyncio.sleep(0.05)
    finally:
        consumer.close()


def _are_known(consumer: Consumer, topic: str) -> bool:
    partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in partitions]
    try:
        committed = consumer.committed(places, timeout=5)
    except KafkaException:
        return False
    return all(place.offset >= 0 for place in committed)


def _exist(client: AdminClient, topics: Sequence[str]) -> bool:
    return set(topics) <= set(client.list_topics(timeout=5).topics)


async def notices_in(
    address: str, topic: str, removed: Mapping[tuple[str, int, int], Record]
) -> Sequence[Record]:
    """Return all records that *topic* has or had: those that were *removed*, too."""
    present = await asyncio.to_thread(read, address, [topic])
    all_of_them = {**removed, **{record.place: record for record in present}}
    return [all_of_them[place] for place in sorted(all_of_them)]


def unread(
    records: Sequence[Record], removed: Collection[tuple[str, int, int]], gaps: Sequence[Gap]
) -> Sequence[Record]:
    """Return those of *records* that were *removed* and stand in one of *gaps*."""
    gone = [record for record in records if record.place in removed]
    return [record for record in gone if any(gap.holds(record.place) for gap in gaps)]


async def until_drained(
    database_url: str,
    notices: Sequence[Record],
    removed: Collection[tuple[str, int, int]],
    seconds: float,
) -> None:
    """Return once no delivery is pending and *notices* were handled, or when time is up.

    Those that were *removed* and that govid knows to be gone are not waited for.
    """
    deadline = time.monotonic() + seconds
    connection: Any = await asyncpg.connect(database_url)
    try:
        while time.monotonic() < deadline:
            gaps = [Gap(*row) for row in await connection.fetch(GAP_ROWS)]
            lost = unread(notices, removed, gaps)
            expected = {(record.key, record.n) for record in notices if record not in lost}
            noted = await connection.fetchval(NOTED, DEATHS)
            # In this order: an inbound notice is pending before it is noted.
            if noted >= len(expected) and await connection.fetchval(PENDING) == 0:
                return
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def gather(
    database_url: str,
    address: str,
    settings: BusSettings,
    notices: Collection[tuple[str, int]],
    removed: Mapping[tuple[str, int, int], Record],
    named: Sequence[Gap],
    published_again: Mapping[tuple[str, int], int],
) -> Evidence:
    """Return all evidence of a run that is over."""
    connection: Any = await asyncpg.connect(database_url)
    try:
        commands = [Command(*row) for row in await connection.fetch(COMMANDS)]
        effects = [Effect(*row) for row in await connection.fetch(EFFECTS)]
        gaps = await connection.fetchval(GAPS)
        events, pending, parked, dead = await connection.fetchrow(LEFT)
    finally:
        await connection.close()
    names = {settings.wire_name(topic): topic for topic in Topic}
    inbound = settings.wire_name(Topic.DEATH_NOTIFICATION)
    deaths = await notices_in(address, inbound, removed)
    records: dict[Topic, list[Record]] = {topic: [] for topic in Topic}
    for record in await asyncio.to_thread(read, address, list(names)):
        records[names[record.topic]].append(record)
    return Evidence(
        commands=commands,
        effects=effects,
        requests=records[Topic.VERIFICATION_REQUEST],
        results=records[Topic.VERIFICATION_RESULT],
        appointments=records[Topic.APPOINTMENT_REQUEST],
        accesses=records[Topic.ACCESS],
        deaths=deaths,
        notices=notices,
        unread=unread(deaths, removed, named),
        published_again=published_again,
        events=events,
        gaps=gaps,
        pending=pending,
        parked=parked,
        dead=dead,
    )


async def keep(database_url: str, found: Evidence, folder: Path) -> None:
    """Write all tables and records into *folder*, to find out why a run failed."""
    connection: Any = await asyncpg.connect(database_url)
    try:
        for (table,) in await connection.fetch(TABLES):
            with (folder / f"{table}.csv").open("wb") as output:
                await connection.copy_from_query(
                    f"SELECT * FROM {table}",  # noqa: S608 - a table's own name
                    output=output,
                    format="csv",
                    header=True,
                )
    finally:
        await connection.close()
    (folder / "evidence.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))


async def forget_topics(address: str, topics: Sequence[str]) -> None:
    """Delete *topics*: a broker that serves hundreds of runs need not keep them all."""
    client = AdminClient({"bootstrap.servers": address})
    dead_letters = [f"{name}.dlq" for name in topics]
    await asyncio.to_thread(client.delete_topics, [*topics, *dead_letters])
