"""Checks whether Kafka is ahead of the database, before the relay publishes anything.

After a restore of an older backup, or the promotion of an asynchronous standby, Kafka holds events
that are missing in the database. Newly published events would then mix with the lost ones. So the
relay waits until an operator has followed docs/restore.md and accepted it. The check is repeated
whenever connections reach another history of the database while govid runs.
"""

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from govid.bus.events import Topic
from govid.bus.kafka import cloudevents
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_reader import TopicReader, UnreadableRange, open_reader
from govid.bus.kafka.topics import QUERIES as TOPIC_QUERIES
from govid.bus.settings import BusSettings
from govid.bus.shared.errors import Outage
from govid.bus.shared.ids import first_uuid7_at, uuid7_timestamp
from govid.bus.storage.sql import load_statements

if TYPE_CHECKING:
    # Commands are built on this without SQLAlchemy (I13).
    from govid.bus.storage.database import Database

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.kafka", "kafka_ahead.sql")
NEWEST_RECORDS = 1_000
"""Maximum number of records at the end of a partition that are compared."""
RECHECK_SECONDS = 2.0
"""How soon a waiting server notices that an operator has accepted."""
RECHECK_FACTOR = 4
"""Wait before the next comparison, as a multiple of the duration of the last one.

Each comparison delays a round of the relay, so a slow Kafka is compared less often.
"""
MAX_RECHECK_SECONDS = 10.0
MAX_OUTAGES = 2
"""After this number of partitions without an answer, a comparison reads no other one."""
UNCOMPARED_TOPICS = (Topic.ACTIVITY, Topic.ACCESS)
"""Topics with records that were never in the outbox, so that an unknown id is no evidence."""


class AheadPartition(msgspec.Struct, frozen=True, kw_only=True):
    """A partition with records that the database does not know.

    `first` is the offset of the first unknown record that was found, `end` the offset after the
    newest record.
    """

    topic: str
    partition: int
    first: int
    end: int
    event_id: UUID

    @property
    def message(self) -> str:
        """What is wrong with the partition, and the likely cause."""
        since = uuid7_timestamp(self.event_id).isoformat(timespec="seconds")
        return (
            f"Kafka is ahead of this database at {self.topic}/{self.partition}: event "
            f"{self.event_id} of {since} at offset {self.first} is not in it. It was restored from "
            "an older backup, is a standby that was promoted without it, or is another one"
        )


class KafkaComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Result of comparing the ends of the topics with the database."""

    ahead: Sequence[AheadPartition] = ()
    unreadable: Sequence[UnreadableRange] = ()
    """Records that could not be read and were not compared."""
    silent: Sequence[tuple[str, int]] = ()
    """Partitions that did not answer. Nothing is published to their topics."""

    def build_warnings(self) -> list[str]:
        """Return one sentence for everything that was not compared."""
        return [
            f"records at {one.location} to {one.next_offset - 1} cannot be read ({one.reason}): "
            "they were not compared with the database"
            for one in self.unreadable
        ] + [
            f"{topic}/{partition} does not answer: it was not compared with the database, and "
            "nothing is published to its topic until it was"
            for topic, partition in self.silent
        ]


class AheadGuard:
    """Stops the relay from publishing until the ends of the topics were compared and are not ahead.

    A topic that could not be compared waits alone, and is compared again until that succeeds.
    """

    def __init__(
        self, settings: BusSettings, clients: KafkaClientFactory, database: "Database"
    ) -> None:
        """Compare the Kafka of *settings* with *database*, at the first `allows_publishing`."""
        self.ahead_partitions: Sequence[AheadPartition] = ()
        """The partitions that stop the relay from publishing."""
        self.waiting_topics: frozenset[str] = frozenset()
        """Topics, by their stored names, to which nothing may be published yet."""
        self._settings = settings
        self._clients = clients
        self._database = database
        self._topics = {settings.wire_name(topic): topic.value for topic in Topic}
        # An in-memory broker, which keeps nothing, is never ahead.
        self._is_exempt = bool(settings.kafka_generation)
        self._is_publishing_allowed = self._has_passed = self._is_exempt
        self._compared_history = database.history.change_count
        self._next_check_at = float("-inf")
        self._has_outage = False
        self._last_comparison: KafkaComparison | None = None

    @property
    def is_undecided(self) -> bool:
        """Whether nothing is published because nothing has been compared yet."""
        return not self._has_passed and self._last_comparison is None

    def has_compared(self, history: int) -> bool:
        """Return whether *history*, a number of changes, was compared and is the present one.

        What was read under an earlier history is neither sent nor completed under the next one.
        """
        return self._is_exempt or (self._is_current and history == self._compared_history)

    @property
    def _is_current(self) -> bool:
        return self._is_exempt or self._compared_history == self._database.history.change_count

    async def allows_publishing(self) -> bool:
        """Return whether the relay may publish to all topics except `waiting_topics`.

        Compares again every few seconds until everything was compared and nothing is ahead, and
        from the beginning when the history of the database has changed.
        """
        if not self._is_current:
            self._begin_again()
        began = monotonic()
        if self._has_passed or began < self._next_check_at:
            return self._is_publishing_allowed
        self._next_check_at = began + RECHECK_SECONDS
        try:
            async with (
                open_reader(self._clients) as reader,
                self._database.bus_reads.acquire() as connection,
            ):
                if not self._is_current:
                    # This is the first connection to another server.
                    self._begin_again()
                    self._next_check_at = began + RECHECK_SECONDS
                comparison = await compare_ends(self._settings, connection, reader)
        except Outage:
            if not self._has_outage:
                log.warning("relay.kafka_not_compared")
            self._has_outage = True
            # An unavailable Kafka delays no round, so the comparison is repeated soon.
            return self._is_publishing_allowed
        now = monotonic()
        wait = min(RECHECK_FACTOR * (now - began), MAX_RECHECK_SECONDS)
        self._next_check_at = now + max(RECHECK_SECONDS, wait)
        self._has_outage = False
        self._log_comparison(comparison)
        self.ahead_partitions = comparison.ahead
        silent = frozenset(self._topics[topic] for topic, _ in comparison.silent)
        # A topic that was compared once does not wait again if it loses its leader later.
        self.waiting_topics = (
            silent if self._last_comparison is None else silent & self.waiting_topics
        )
        self._last_comparison = comparison
        self._is_publishing_allowed = not comparison.ahead
        self._has_passed = self._is_publishing_allowed and not self.waiting_topics
        return self._is_publishing_allowed

    def _begin_again(self) -> None:
        self._compared_history = self._database.history.change_count
        self._is_publishing_allowed = self._has_passed = False
        self._last_comparison = None
        self.ahead_partitions = ()
        self._next_check_at = float("-inf")

    def _log_comparison(self, comparison: KafkaComparison) -> None:
        """Log what has changed since the last comparison."""
        last = self._last_comparison or KafkaComparison()
        for one in comparison.ahead if not self.ahead_partitions else ():
            log.error(
                "relay.kafka_ahead",
                extra={"topic": one.topic, "partition": one.partition, "offset": one.first},
            )
        for topic, partition in comparison.silent:
            if (topic, partition) not in last.silent:
                log.warning(
                    "relay.kafka_not_compared", extra={"topic": topic, "partition": partition}
                )
        for records in comparison.unreadable:
            if records not in last.unreadable:
                log.warning(
                    "relay.kafka_unreadable",
                    extra={
                        "topic": records.topic,
                        "partition": records.partition,
                        "offset": records.first,
                        "next_offset": records.next_offset,
                        "reason": records.reason,
                    },
                )


async def compare_ends(
    settings: BusSettings, connection: Any, reader: TopicReader
) -> KafkaComparison:
    """Compare the ends of the topics with the receipts, and with what an operator has accepted.

    Unreadable batches are left out; records after them are compared. Each partition is compared
    independently.

    Raises:
        Outage: Kafka does not list its topics.
    """
    present = await reader.fetch_partition_counts()
    names = [settings.wire_name(topic) for topic in Topic if topic not in UNCOMPARED_TOPICS]
    bounds = await reader.fetch_ranges([name for name in names if name in present])
    known_ends = await _fetch_known_ends(connection)
    installation = await connection.fetchval(TOPIC_QUERIES["installation"])
    # Retention may have dropped older events.
    oldest = first_uuid7_at(datetime.now(UTC) - timedelta(days=settings.row_retention_days))
    found: list[AheadPartition] = []
    unreadable: list[UnreadableRange] = []
    silent = [key for key, span in bounds.items() if span is None]
    answering = {key: span for key, span in bounds.items() if span is not None}
    outages = 0
    for (topic, partition), span in sorted(answering.items()):
        start = max(known_ends.get((topic, partition), 0), span.first, span.end - NEWEST_RECORDS)
        if start < span.end and outages == MAX_OUTAGES:
            silent.append((topic, partition))
            continue
        records = reader.read_range(topic, partition, start, span.end, unreadable)
        try:
            first = await _find_first_unknown(connection, records, oldest, installation)
        except Outage:
            outages += 1
            silent.append((topic, partition))
            continue
        if first is not None:
            offset, event_id = first
            found.append(
                AheadPartition(
                    topic=topic, partition=partition, first=offset, end=span.end, event_id=event_id
                )
            )
    return KafkaComparison(ahead=found, unreadable=unreadable, silent=sorted(silent))


async def _fetch_known_ends(connection: Any) -> Mapping[tuple[str, int], int]:
    """Return the offset up to which receipts or an operator cover each partition."""
    rows = await connection.fetch(QUERIES["known_ends"])
    return {(row["topic"], row["partition"]): row["next"] for row in rows}


async def _find_first_unknown(
    connection: Any,
    batches: AsyncIterator[Sequence[Any]],
    oldest: UUID,
    installation: str | None,
) -> tuple[int, UUID] | None:
    """Return offset and id of the first event that is missing in the database."""
    async for records in batches:
        own = [
            (record.offset, cloudevents.own_event_id(record, installation)) for record in records
        ]
        ids = [event_id for _, event_id in own if event_id is not None and event_id >= oldest]
        unknown = set(ids) - await _fetch_known_ids(connection, ids)
        for offset, event_id in own:
            if event_id in unknown:
                return offset, event_id
    return None


async def _fetch_known_ids(connection: Any, ids: Collection[UUID]) -> set[UUID]:
    rows = await connection.fetch(
        QUERIES["known_events"], list(ids), min(ids, default=None), max(ids, default=None)
    )
    return {row["id"] for row in rows}
