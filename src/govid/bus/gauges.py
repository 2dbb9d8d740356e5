"""Exports the gauges of the bus: pending deliveries, leases, Kafka, event-loop lag.

Values that only the database has are sampled on demand, at most once every five seconds.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from time import monotonic

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from govid.bus.delivery.pending_counts import count_pending, fetch_oldest_pending, fetch_subscribers
from govid.bus.metrics import KafkaState
from govid.bus.shared.ids import uuid7_timestamp
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class_name
from govid.bus.storage.sql import load_statements
from govid.bus.storage.workers import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)


LAG_PERIOD_SECONDS = 0.25
LAG_SAMPLES = 60
"""How many measurements are kept: those of the last 15 seconds."""


class EventLoopLag:
    """Measures the event-loop lag four times a second."""

    def __init__(self) -> None:
        """Begin with a lag of 0."""
        self._delays: deque[float] = deque([0.0], maxlen=LAG_SAMPLES)

    @property
    def worst_seconds(self) -> float:
        """The largest lag of the last 15 seconds, in seconds."""
        return max(self._delays)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            started = monotonic()
            await asyncio.sleep(LAG_PERIOD_SECONDS)
            self._delays.append(max(0.0, monotonic() - started - LAG_PERIOD_SECONDS))


CACHE_SECONDS = 5.0
"""How long a sample is cached: more frequent scrapes get the same values."""
TIMEOUT_SECONDS = 3.0
_SQL = load_statements("govid.bus", "gauges.sql")


class PendingStats(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery gauges of one subscriber."""

    pending: int
    oldest_seconds: float
    parked_keys: int
    dead: int


class DatabaseSample(msgspec.Struct, frozen=True, kw_only=True):
    """The database gauges of one sample."""

    outbox: Mapping[str, PendingStats] = {}
    dead_tuples: Mapping[str, int] = {}
    gap_records: int | None = None
    oldest_transaction_seconds: float | None = None


class DatabaseSampler:
    """Samples the database on demand, at most once every five seconds."""

    def __init__(self, database: Database) -> None:
        """Begin with an empty sample."""
        self._database = database
        self._refresh_lock = asyncio.Lock()
        self._refreshed_at = float("-inf")
        self.last = DatabaseSample()

    async def refresh(self) -> None:
        """Take a new sample if the last is too old; an unavailable database gives an empty one."""
        async with self._refresh_lock:
            if monotonic() - self._refreshed_at < CACHE_SECONDS:
                return
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    self.last = await self._read_sample()
            except DATABASE_UNAVAILABLE as error:
                log.info("metrics.no_sample", extra={"error_class": error_class_name(error)})
                self.last = DatabaseSample()
            self._refreshed_at = monotonic()

    async def _read_sample(self) -> DatabaseSample:
        now = datetime.now(UTC)
        async with self._database.bus_reads.acquire() as connection:
            names = await fetch_subscribers(connection)
            pending = await count_pending(connection, names)
            oldest_ids = await fetch_oldest_pending(connection, names)
            rows = await connection.fetch(_SQL["stuck"], names)
            gap_records = await connection.fetchval(_SQL["gap_records"])
            tables = await connection.fetch(_SQL["dead_tuples"])
            oldest = await connection.fetchval(_SQL["oldest_transaction"])
        return DatabaseSample(
            outbox={
                row["subscriber"]: PendingStats(
                    pending=pending[row["subscriber"]].deliveries,
                    # An id contains its time, so that the event need not be read.
                    oldest_seconds=max(
                        0.0, (now - uuid7_timestamp(oldest_ids[row["subscriber"]])).total_seconds()
                    )
                    if row["subscriber"] in oldest_ids
                    else 0.0,
                    parked_keys=row["parked_keys"],
                    dead=row["dead"],
                )
                for row in rows
            },
            dead_tuples={row["name"]: row["dead"] for row in tables},
            gap_records=gap_records,
            oldest_transaction_seconds=oldest,
        )


class GaugeSources(msgspec.Struct, frozen=True, kw_only=True):
    """The sources of the gauges. Each is called at every scrape and returns a value from memory."""

    sample: Callable[[], DatabaseSample]
    loop_lag: Callable[[], float]
    retention_age: Callable[[], float] = lambda: 0.0
    seal_age: Callable[[], float] = lambda: 0.0
    failing_seconds: Callable[[], float] = lambda: 0.0
    leases: Callable[[], Mapping[str, int]]
    relay_state: Callable[[], KafkaState]
    inbox_lag: Callable[[], Mapping[tuple[str, int], int]]
    inbox_held_back: Callable[[], Mapping[tuple[str, int], int]]
    inbox_stopped: Callable[[], Mapping[tuple[str, int], int]]
    activity_dropped: Callable[[], int]
    topics: Callable[[], Mapping[str, int]]
    is_kafka_ahead: Callable[[], bool]
    topics_created_again: Callable[[], int]


class BusGauges(Collector):
    """Collects the gauges of one process at each scrape."""

    def __init__(self, sources: GaugeSources) -> None:
        """Read from *sources*."""
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Return every gauge with its current values."""
        yield from _collect_outbox(self._sources.sample())
        yield from self._collect_relay()
        held = GaugeMetricFamily(
            "govid_leases_held", "Buckets that this replica owns.", labels=["subscriber"]
        )
        for subscriber, buckets in self._sources.leases().items():
            held.add_metric([subscriber], buckets)
        yield held
        yield from self._collect_topics()
        yield CounterMetricFamily(
            "govid_activity_dropped",
            "Log records that were dropped by overload or while Kafka was unavailable.",
            value=self._sources.activity_dropped(),
        )
        yield GaugeMetricFamily(
            "govid_loop_lag_seconds",
            "Largest lag of the event loop in the last 15 seconds.",
            value=self._sources.loop_lag(),
        )
        yield GaugeMetricFamily(
            "govid_dispatcher_failing_seconds",
            "For how long the rounds of the worst subscriber have ended in errors.",
            value=self._sources.failing_seconds(),
        )
        yield GaugeMetricFamily(
            "govid_retention_age_seconds",
            "Time since the last round of retention without an error.",
            value=self._sources.retention_age(),
        )
        yield GaugeMetricFamily(
            "govid_audit_seal_age_seconds",
            "Time since the last round of the audit log's sealer without an error.",
            value=self._sources.seal_age(),
        )

    def _collect_topics(self) -> Iterable[Metric]:
        topics = GaugeMetricFamily(
            "govid_topics",
            "Topics that are missing, or have another number of partitions than govid uses.",
            labels=["state"],
        )
        for state, count in self._sources.topics().items():
            topics.add_metric([state], count)
        yield topics
        yield GaugeMetricFamily(
            "govid_relay_kafka_ahead",
            "1 while nothing is published because Kafka is ahead of the database.",
            value=float(self._sources.is_kafka_ahead()),
        )
        yield CounterMetricFamily(
            "govid_topics_created_again",
            "Missing topics that this replica has created again.",
            value=self._sources.topics_created_again(),
        )

    def _collect_relay(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "govid_relay_state", "1 for the relay's current state of Kafka.", labels=["state"]
        )
        present = self._sources.relay_state()
        for state_value in KafkaState:
            state.add_metric([state_value.value], float(state_value is present))
        yield state
        lag = GaugeMetricFamily(
            "govid_inbox_lag",
            "Records not yet read by this replica, including those of open transactions.",
            labels=["topic", "partition"],
        )
        for (topic, partition), records in self._sources.inbox_lag().items():
            lag.add_metric([topic, str(partition)], records)
        yield lag
        held_back = GaugeMetricFamily(
            "govid_inbox_held_back",
            "Records that cannot be read while a transaction of their producer is open.",
            labels=["topic", "partition"],
        )
        for (topic, partition), records in self._sources.inbox_held_back().items():
            held_back.add_metric([topic, str(partition)], records)
        yield held_back
        failing = GaugeMetricFamily(
            "govid_inbox_failing",
            "1 for a partition of this replica that has failed twice at one position.",
            labels=["topic", "partition"],
        )
        stopped = GaugeMetricFamily(
            "govid_inbox_stopped",
            "1 for a partition of this replica that has stopped at one position.",
            labels=["topic", "partition"],
        )
        for (topic, partition), is_stopped in self._sources.inbox_stopped().items():
            failing.add_metric([topic, str(partition)], 1)
            stopped.add_metric([topic, str(partition)], is_stopped)
        yield failing
        yield stopped


def _collect_outbox(sample: DatabaseSample) -> Iterable[Metric]:
    texts = {
        "pending": "Pending deliveries.",
        "oldest_seconds": "Age of the oldest pending delivery.",
        "parked_keys": "Permanently parked keys, which wait for an operator.",
        "dead": "Dead letters, which wait for an operator.",
    }
    for name, text in texts.items():
        family = GaugeMetricFamily(f"govid_outbox_{name}", text, labels=["subscriber"])
        for subscriber, stats in sample.outbox.items():
            family.add_metric([subscriber], getattr(stats, name))
        yield family
    tuples = GaugeMetricFamily(
        "govid_dead_tuples", "Row versions that wait for vacuum.", labels=["table"]
    )
    for table, count in sample.dead_tuples.items():
        tuples.add_metric([table], count)
    yield tuples
    # Without a database the values are unknown, which is not the same as zero.
    if sample.gap_records is not None:
        yield GaugeMetricFamily(
            "govid_inbox_gap_records",
            "Inbound records that Kafka removed unread, and that no operator has accepted.",
            value=sample.gap_records,
        )
    if sample.oldest_transaction_seconds is not None:
        yield GaugeMetricFamily(
            "govid_oldest_transaction_seconds",
            "Age of the oldest open transaction in this database.",
            value=sample.oldest_transaction_seconds,
        )
