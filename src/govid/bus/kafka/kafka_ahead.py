"""Finds out whether Kafka holds events that the database does not know, before anything is sent.

That is so after a restore of an older backup. What the relay published then would mix with the
events that the database has forgotten. So it waits until an operator has read docs/restore.md and
accepted it.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from govid.bus.acts import Acts, Signature
from govid.bus.contracts import Topic, TopicKafkaAheadAccepted
from govid.bus.errors import Outage
from govid.bus.ids import first_uuid7_of, moment_of
from govid.bus.kafka.archive import Archive, Bounds, reading
from govid.bus.kafka.claims import own_id
from govid.bus.kafka.sql import QUERIES as KAFKA_QUERIES
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
MAX_OUTAGES = 3
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


class AheadGuard:
    """Lets the relay publish once the ends of the topics are known not to be ahead."""

    def __init__(self, settings: BusSettings, database: "Database") -> None:
        """Compare the Kafka of *settings* with *database*, when first asked."""
        self.ahead: Sequence[AheadPartition] = ()
        """What keeps the relay from publishing."""
        self._settings = settings
        self._database = database
        # A broker that forgets is never ahead of anything.
        self._is_passed = bool(settings.kafka_generation)
        self._looked_at = float("-inf")
        self._outages = 0

    async def allows(self) -> bool:
        """Tell whether the relay may publish; look again every few seconds while it may not."""
        if self._is_passed or monotonic() - self._looked_at < LOOK_AGAIN_SECONDS:
            return self._is_passed
        self._looked_at = monotonic()
        try:
            async with (
                reading(self._settings.kafka_bootstrap_servers) as archive,
                self._database.bus_reads.acquire() as connection,
            ):
                ahead = await find_ahead(self._settings, connection, archive)
        except Outage:
            self._outages += 1
            if self._outages == MAX_OUTAGES:
                # A partition without a leader must not keep all others waiting for ever.
                log.warning("relay.kafka_not_compared")
                self._is_passed = True
            return self._is_passed
        if ahead and not self.ahead:
            for one in ahead:
                log.error(
                    "relay.kafka_ahead",
                    extra={"topic": one.topic, "partition": one.partition, "offset": one.first},
                )
        self.ahead = ahead
        self._is_passed = not ahead
        return self._is_passed


async def find_ahead(
    settings: BusSettings, connection: Any, archive: Archive
) -> list[AheadPartition]:
    """Compare the ends of the topics with the receipts, and with what an operator has accepted.

    Raises:
        Outage: Kafka stopped answering.
    """
    present = await archive.partitions()
    names = [settings.wire_name(topic) for topic in Topic if topic not in UNJUDGED]
    bounds = await archive.all_bounds([name for name in names if name in present])
    known_ends = await _known_ends(connection)
    installation = await connection.fetchval(KAFKA_QUERIES["installation"])
    # What is older may have been dropped by retention.
    oldest = first_uuid7_of(datetime.now(UTC) - timedelta(days=settings.kept_days))
    found = []
    for (topic, partition), span in sorted(bounds.items()):
        start = max(known_ends.get((topic, partition), 0), span.first, span.end - NEWEST_RECORDS)
        first = await _first_unknown(
            connection, archive, (topic, partition), Bounds(start, span.end), oldest, installation
        )
        if first is not None:
            offset, event_id = first
            found.append(
                AheadPartition(
                    topic=topic, partition=partition, first=offset, end=span.end, event_id=event_id
                )
            )
    return found


async def accept_ahead(
    connection: Any, acts: Acts, ahead: Sequence[AheadPartition], signature: Signature
) -> None:
    """Let the relay publish although nobody here knows the ends of the partitions *ahead*."""

    async def work() -> TopicKafkaAheadAccepted:
        await connection.execute(
            QUERIES["accept_ends"],
            [one.topic for one in ahead],
            [one.partition for one in ahead],
            [one.end for one in ahead],
        )
        ends = {f"{one.topic}/{one.partition}": one.end for one in ahead}
        return signature.event(TopicKafkaAheadAccepted, ends=ends)

    await acts.commit_event(work)


async def _known_ends(connection: Any) -> Mapping[tuple[str, int], int]:
    """Return up to where receipts, or an operator, vouch for a partition, of those they tell."""
    rows = await connection.fetch(QUERIES["known_ends"])
    return {(row["topic"], row["partition"]): row["next"] for row in rows}


async def _first_unknown(
    connection: Any,
    archive: Archive,
    place: tuple[str, int],
    span: Bounds,
    oldest: UUID,
    installation: str | None,
) -> tuple[int, UUID] | None:
    """Return offset and id of the first event that the database does not know."""
    async for records in archive.read(*place, span.first, span.end):
        own = [(record.offset, own_id(record, installation)) for record in records]
        ids = [event_id for _, event_id in own if event_id is not None and event_id >= oldest]
        unknown = set(ids) - await _known(connection, ids)
        for offset, event_id in own:
            if event_id in unknown:
                return offset, event_id
    return None


async def _known(connection: Any, ids: Collection[UUID]) -> set[UUID]:
    rows = await connection.fetch(
        KAFKA_QUERIES["known_events"], list(ids), min(ids, default=None), max(ids, default=None)
    )
    return {row["id"] for row in rows}
