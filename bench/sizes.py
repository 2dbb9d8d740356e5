"""What events take in PostgreSQL and Kafka, and what a registration, a sign-in and a request leave.

Only bytes and rows are counted, so that other work on the machine does not change the figures.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from bench.backends import backends, govid, registered
from govid.bus.kafka.clients import KafkaClientFactory
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.kafka import Unavailable

ACCOUNTS = 200
REQUESTS = 1_000
SETTLE_SECONDS = 60
IDLE_SECONDS = 3
TABLES = ("event", "receipt")
LOG_TOPICS = ("system.logs.activity", "system.logs.access")
SIZE = """
    SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree($1::regclass) WHERE isleaf
"""
CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()
"""


def measure(folder: Path) -> dict[str, Any]:
    """Register accounts, let each sign in once, send requests, and count what is left."""
    with backends() as where, govid(where, folder, "sizes", extra=FLOOR_OF_HASHES) as server:
        if not where.has_kafka:
            raise Unavailable("without a Kafka there are no records to count")
        url = server.environment["GOVID_DATABASE_URL"]
        before = asyncio.run(_count_database(url))
        tokens = registered(server.url, ACCOUNTS)
        after = asyncio.run(_count_database(url))
        connections = asyncio.run(_request(server, url, tokens))
        kafka_connections = _count_kafka_connections(server, where.kafka)
        records = asyncio.run(_count_records(where.kafka))
    rows = {table: after[table] - before[table] for table in TABLES}
    sizes = {table: after[f"{table}_bytes"] - before[f"{table}_bytes"] for table in TABLES}
    published = [one for topic, one in records.items() if topic not in LOG_TOPICS]
    logged = [records[topic] for topic in LOG_TOPICS if topic in records]
    return {
        "accounts": ACCOUNTS,
        "events_per_account": round(rows["event"] / ACCOUNTS, 2),
        "receipts_per_event": round(rows["receipt"] / rows["event"], 2),
        "event_bytes": round(sizes["event"] / rows["event"]),
        "receipt_bytes": round(sizes["receipt"] / rows["receipt"]),
        "database_bytes_per_event": round(sum(sizes.values()) / rows["event"]),
        "wal_bytes_per_event": round((after["wal"] - before["wal"]) / rows["event"]),
        "kafka_records_per_event": round(sum(n for n, _ in published) / rows["event"], 2),
        "kafka_bytes_per_record": round(
            sum(size for _, size in published) / sum(n for n, _ in published)
        ),
        "log_bytes_per_request": round(
            sum(size for _, size in logged) / (records[LOG_TOPICS[0]][0] / 2)
        ),
        "connections_under_load": connections,
        "kafka_connections": kafka_connections,
        "topics": {topic: list(one) for topic, one in records.items()},
    }


async def _count_database(url: str) -> dict[str, int]:
    """Return rows and bytes of the tables, once no delivery is pending, and the position of WAL."""
    connection: Any = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while await connection.fetchval("SELECT EXISTS (SELECT FROM bus.delivery)"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        found = {
            "wal": int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
        }
        for table in TABLES:
            found[table] = await connection.fetchval(f"SELECT count(*) FROM bus.{table}")
            found[f"{table}_bytes"] = int(await connection.fetchval(SIZE, f"bus.{table}"))
        return found
    finally:
        await connection.close()


async def _request(server: Govid, url: str, tokens: Sequence[str]) -> int:
    """Read profiles, many at a time; return how many connections the server has to PostgreSQL."""
    connection: Any = await asyncpg.connect(url)
    # A kept connection may end in the moment in which it is used again.
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        for start in range(0, REQUESTS, len(tokens)):
            await asyncio.gather(
                *(
                    client.get("/api/auth/profile", headers={"Authorization": f"Bearer {token}"})
                    for token in tokens[: REQUESTS - start]
                )
            )
        count = int(await connection.fetchval(CONNECTIONS))
    await connection.close()
    # The records of requests are sent by a worker, which is given time to finish.
    await asyncio.sleep(IDLE_SECONDS)
    return count


def _count_kafka_connections(server: Govid, kafka: str) -> int:
    """Return how many connections the server has to the broker."""
    port = int(kafka.rpartition(":")[2])
    found = psutil.Process(server.pid).net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in found)


async def _count_records(kafka: str) -> dict[str, tuple[int, int]]:
    """Return number and bytes of the records of each topic: keys, values and headers."""
    consumer = KafkaClientFactory(kafka).create_consumer(
        auto_offset_reset="earliest", enable_auto_commit=False
    )
    counts: dict[str, tuple[int, int]] = {}
    await consumer.start()
    try:
        topics = [name for name in await consumer.topics() if not name.startswith("__")]
        consumer.subscribe(topics)
        while batches := await consumer.getmany(timeout_ms=5_000):
            for partition, records in batches.items():
                number, size = counts.get(partition.topic, (0, 0))
                size += sum(_measure_record(record) for record in records)
                counts[partition.topic] = (number + len(records), size)
    finally:
        await consumer.stop()
    return counts


def _measure_record(record: Any) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
