"""Finds out whether Kafka holds events that the database does not know, before anything is sent.

That is so after a restore of an older backup. What the relay published then would mix with the
events that the database has forgotten. So it waits until an operator has read docs/restore.md and
accepted it.
"""

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from govid.bus.contracts import Topic
from govid.bus.errors import Outage
from govid.bus.ids import first_uuid7_of, moment_of
from govid.bus.kafka import codec
from govid.bus.kafka.archive import Archive, UnreadableRecords, reading
from govid.bus.kafka.topics_admin import QUERIES as TOPIC_QUERIES
from govid.bus.settings import BusSettings
from govid.bus.sql import read

if TYPE_CHECKING:
    # Commands are built on this without SQLAlchemy (I13).
    from govid.bus.storage.database import Database

log = logging.getLogger(__name__)

QUERIES = read("govid.bus.kafka", "kafka_ahead.sql")
NEWEST_RECORDS = 1_000
"""How many records at the end of a partition are looked at, at most."""
LOOK_AGAIN_SECONDS = 2.0
"""How soon a server that waits notices that an operator has accepted."""
LOOK_SHARE = 4
"""How many times as long as a look took the next one waits: a slow Kafka delays each round."""
LONGEST_REST_SECONDS = 10.0
MAX_OUTAGES = 2
"""After so many partitions that stopped answering in one comparison no other one is read."""
UNJUDGED = (Topic.ACTIVITY, Topic.ACCESS)
"""Topics that hold records which never were in the outbox: an unknown id says nothing there."""


class AheadPartition(msgspec.Struct, frozen=True, kw_only=True):
    """A partition with records that the database does not know; `first` is the first that was met.

    `end` is the offset after the newest record.
    """

    topic: str
    partition: int
    first: int
    end: int
    event_id: UUID

    @property
    def sentence(self) -> str:
        """What is wrong, and what helps."""
        since = moment_of(self.event_id).isoformat(timespec="seconds")
        return (
            f"Kafka is ahead of this database at {self.topic}/{self.partition}: event "
            f"{self.event_id} of {since} at offset {self.first} is not in it. It was restored from "
            "an older backup, or is another one"
        )


class KafkaComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of comparing the ends of the topics with the database."""

    ahead: Sequence[AheadPartition] = ()
    unreadable: Sequence[UnreadableRecords] = ()
    """What could not be read, and so was not compared."""
    silent: Sequence[tuple[str, int]] = ()
    """The partitions that did not answer. Nothing is published to their topics."""

    def warnings(self) -> list[str]:
        """Tell what was not compared, one sentence each."""
        return [
            f"records at {one.place} to {one.next_offset - 1} cannot be read ({one.reason}): they "
            "were not compared with the database"
            for one in self.unreadable
        ] + [
            f"{topic}/{partition} does not answer: it was not compared with the database, and "
            "nothing is published to its topic until it was"
            for topic, partition in self.silent
        ]


class AheadGuard:
    """Lets the relay publish once the ends of the topics are known not to be ahead.

    A topic that could not be compared waits by itself, and is looked at until it can be.
    """

    def __init__(self, settings: BusSettings, database: "Database") -> None:
        """Compare the Kafka of *settings* with *database*, when first asked."""
        self.ahead: Sequence[AheadPartition] = ()
        """What keeps the relay from publishing."""
        self.waiting: frozenset[str] = frozenset()
        """The topics, by their stored names, to which nothing may be published yet."""
        self._settings = settings
        self._database = database
        self._topics = {settings.wire_name(topic): topic.value for topic in Topic}
        # A broker that forgets is never ahead of anything.
        self._allows = self._is_passed = bool(settings.kafka_generation)
        self._look_at = float("-inf")
        self._has_outage = False
        self._last: KafkaComparison | None = None

    @property
    def is_undecided(self) -> bool:
        """Whether nothing has been compared yet, so that nothing is published."""
        return not self._is_passed and self._last is None

    async def allows(self) -> bool:
        """Tell whether the relay may publish, but to the topics `waiting`.

        Looks again every few seconds until everything was compared and nothing is ahead.
        """
        began = monotonic()
        if self._is_passed or began < self._look_at:
            return self._allows
        self._look_at = began + LOOK_AGAIN_SECONDS
        try:
            async with (
                reading(self._settings.kafka_bootstrap_servers) as archive,
                self._database.bus_reads.acquire() as connection,
            ):
                found = await compare_ends(self._settings, connection, archive)
        except Outage:
            if not self._has_outage:
                log.warning("relay.kafka_not_compared")
            self._has_outage = True
            # Waiting for a Kafka that is away costs it nothing: it is asked again soon.
            return self._allows
        now = monotonic()
        rest = min(LOOK_SHARE * (now - began), LONGEST_REST_SECONDS)
        self._look_at = now + max(LOOK_AGAIN_SECONDS, rest)
        self._has_outage = False
        self._report(found)
        self.ahead = found.ahead
        silent = frozenset(self._topics[topic] for topic, _ in found.silent)
        # What was compared once does not wait again because it lost its leader later.
        self.waiting = silent if self._last is None else silent & self.waiting
        self._last = found
        self._allows = not found.ahead
        self._is_passed = self._allows and not self.waiting
        return self._allows

    def _report(self, found: KafkaComparison) -> None:
        """Log what is new since the last comparison."""
        last = self._last or KafkaComparison()
        for one in found.ahead if not self.ahead else ():
            log.error(
                "relay.kafka_ahead",
                extra={"topic": one.topic, "partition": one.partition, "offset": one.first},
            )
        for topic, partition in found.silent:
            if (topic, partition) not in last.silent:
                log.warning(
                    "relay.kafka_not_compared", extra={"topic": topic, "partition": partition}
                )
        for records in found.unreadable:
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


async def compare_ends(settings: BusSettings, connection: Any, archive: Archive) -> KafkaComparison:
    """Compare the ends of the topics with the receipts, and with what an operator has accepted.

    Batches that cannot be read are left out; what stands behind them is compared. Each partition
    is judged by itself.

    Raises:
        Outage: Kafka does not tell which topics it has.
    """
    present = await archive.partitions()
    names = [settings.wire_name(topic) for topic in Topic if topic not in UNJUDGED]
    bounds = await archive.all_bounds([name for name in names if name in present])
    known_ends = await _known_ends(connection)
    installation = await connection.fetchval(TOPIC_QUERIES["installation"])
    # What is older may have been dropped by retention.
    oldest = first_uuid7_of(datetime.now(UTC) - timedelta(days=settings.kept_days))
    found: list[AheadPartition] = []
    unreadable: list[UnreadableRecords] = []
    silent = [place for place, span in bounds.items() if span is None]
    answering = {place: span for place, span in bounds.items() if span is not None}
    outages = 0
    for (topic, partition), span in sorted(answering.items()):
        start = max(known_ends.get((topic, partition), 0), span.first, span.end - NEWEST_RECORDS)
        if start < span.end and outages == MAX_OUTAGES:
            silent.append((topic, partition))
            continue
        records = archive.read(topic, partition, start, span.end, unreadable)
        try:
            first = await _first_unknown(connection, records, oldest, installation)
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


async def _known_ends(connection: Any) -> Mapping[tuple[str, int], int]:
    """Return up to where receipts, or an operator, vouch for a partition, of those they tell."""
    rows = await connection.fetch(QUERIES["known_ends"])
    return {(row["topic"], row["partition"]): row["next"] for row in rows}


async def _first_unknown(
    connection: Any,
    batches: AsyncIterator[Sequence[Any]],
    oldest: UUID,
    installation: str | None,
) -> tuple[int, UUID] | None:
    """Return offset and id of the first event that the database does not know."""
    async for records in batches:
        own = [(record.offset, codec.own_id(record, installation)) for record in records]
        ids = [event_id for _, event_id in own if event_id is not None and event_id >= oldest]
        unknown = set(ids) - await _known(connection, ids)
        for offset, event_id in own:
            if event_id in unknown:
                return offset, event_id
    return None


async def _known(connection: Any, ids: Collection[UUID]) -> set[UUID]:
    rows = await connection.fetch(
        QUERIES["known_events"], list(ids), min(ids, default=None), max(ids, default=None)
    )
    return {row["id"] for row in rows}
