"""Takes in what others publish: each record once, unreadable ones set aside, then the offsets.

Offsets are committed after the database has the records; until then a restart brings them again,
and the inbox table knows them. What govid published itself and reads back has no effect. A position
that fails stops its partition only (`PartitionReader`).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from govid.bus.consumers import Subscriptions
from govid.bus.contracts import Topic
from govid.bus.envelope import Envelope
from govid.bus.kafka.cleanup import start, stop
from govid.bus.kafka.deadletters import DeadLetters
from govid.bus.kafka.decompression import bound_aiokafka
from govid.bus.kafka.inbound_faults import InboundFaults
from govid.bus.kafka.inbox_gaps import InboxGaps
from govid.bus.kafka.intake import SHAPES, Arrival, Basis, Intake, Unreadable
from govid.bus.kafka.partition_reader import FAILING_ATTEMPTS, PartitionReader
from govid.bus.kafka.topics_admin import INBOUND, Topics
from govid.bus.metrics import Metrics
from govid.bus.outbox import PostgresOutbox
from govid.bus.settings import BusSettings
from govid.bus.sql import read
from govid.bus.storage.database import Database
from govid.bus.storage.errors import (
    error_class,
    is_not_storable,
    is_statement_timeout,
    is_transient,
    is_unavailable,
)
from govid.bus.wake import Wake

log = logging.getLogger(__name__)

QUERIES = read("govid.bus.kafka", "inbox.sql")

PAUSE_SECONDS = 1.0


class _Outcome(Enum):
    """What a record is to the database."""

    NEW = auto()
    REUSED = auto()
    """It claims an identity that another record has, and is a record of its own all the same."""
    KNOWN = auto()
    CONFLICT = auto()
    """Its source has used its id for another content."""


_FRESH = (_Outcome.NEW, _Outcome.REUSED)


class Read(NamedTuple):
    """A record that was read, and as what."""

    record: Any
    arrival: Arrival


class StoringTimedOut(Exception):
    """To store records takes longer than a statement may take."""


class Inbox:
    """The consumer of the topics that others write to."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        intake: Intake,
        subscriptions: Subscriptions,
        outbox: PostgresOutbox,
        wake: Wake,
        topics: Topics,
        dead_letters: DeadLetters,
        metrics: Metrics | None = None,
    ) -> None:
        """Store through *outbox*, addressed to the modules of *subscriptions* only."""
        self._settings = settings
        self._database = database
        self._intake = intake
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._wake = wake
        self._topics = topics
        self._dead_letters = dead_letters
        self._metrics = metrics or Metrics()
        self._metrics.expect_records(INBOUND)
        self._by_name = {settings.wire_name(topic): topic for topic in INBOUND}
        self._connected: bool | None = None
        self._reader: PartitionReader | None = None

    @property
    def lag(self) -> dict[tuple[str, int], int]:
        """How many records are left, by topic and partition."""
        return self._by_place({} if self._reader is None else self._reader.lag)

    @property
    def held_back(self) -> dict[tuple[str, int], int]:
        """How many of them an open transaction keeps from being read, by topic and partition."""
        return self._by_place({} if self._reader is None else self._reader.held_back)

    @property
    def stopped(self) -> dict[tuple[str, int], int]:
        """The partitions that this replica has and that fail: 1 if one has stopped, 0 if not yet.

        A position counts from its second failure on.
        """
        if self._reader is None:
            return {}
        failing = {
            partition: int(trouble.is_stopped)
            for partition, trouble in self._reader.troubles.items()
            if trouble.attempts >= FAILING_ATTEMPTS
        }
        return self._by_place(failing)

    def health(self) -> str:
        """Return the state of the inbox: "ok", "connecting", "down", "failing" or "stopped"."""
        if self._connected is None:
            return "connecting"
        if not self._connected:
            return "down"
        stopped = self.stopped.values()
        return "stopped" if any(stopped) else "failing" if stopped else "ok"

    async def run(self) -> None:
        """Take in what comes, until cancelled."""
        # A consumer that meets a missing topic would look again only minutes later.
        await self._topics.known.wait()
        while True:
            consumer = self._consumer()
            try:
                # Of this consumer's own: what the last one knew of positions is void.
                reader = self._partition_reader(consumer)
                consumer.subscribe(list(self._by_name), listener=reader)
                await start(consumer)
                self._reader = reader
                while True:
                    await self._take(reader)
                    self._connected = True
            except KafkaError as error:
                # That Kafka is away has been said, by the producers.
                self._connected = False
                log.debug("inbox.interrupted", extra={"error_class": error_class(error)})
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - one of the four edges
                self._connected = False
                log.warning("inbox.interrupted", extra={"error_class": error_class(error)})
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                await asyncio.shield(stop(consumer))

    def _partition_reader(self, consumer: AIOKafkaConsumer) -> PartitionReader:
        connections = self._database.bus_reads
        return PartitionReader(
            consumer,
            InboundFaults(connections),
            InboxGaps(
                connections,
                lambda topic, count: self._metrics.removed_unread(self._by_name[topic], count),
            ),
        )

    def _consumer(self) -> AIOKafkaConsumer:
        bound_aiokafka()
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            client_id=f"{self._settings.kafka_client_id}-inbox",
            group_id=f"{self._settings.kafka_client_id}.inbox",
            enable_auto_commit=False,
            # The reader decides where a partition begins, and sees what Kafka no longer has.
            auto_offset_reset="none",
            isolation_level="read_committed",
            request_timeout_ms=11_000,
            metadata_max_age_ms=30_000,
        )

    async def _take(self, reader: PartitionReader) -> None:
        for partition, fetched in (await reader.read()).items():
            try:
                await self._take_partition(reader, partition, fetched.records)
            except KafkaError:
                raise
            except Exception as error:
                if is_unavailable(error) and not isinstance(error, StoringTimedOut):
                    raise
                await reader.fail(partition, error)
            else:
                reader.advance(partition, fetched.next_offset)
        await reader.commit()

    async def _take_partition(
        self, reader: PartitionReader, partition: TopicPartition, records: Sequence[Any]
    ) -> None:
        """Store *records* in their order; what has been dealt with is noted at *reader*."""
        readable: list[Read] = []
        for record in records:
            try:
                arrival = self._intake.read(self._by_name[partition.topic], record)
            except Unreadable as reason:
                await self._store(reader, partition, readable)
                readable = []
                await self._set_aside(record, reason)
                reader.advance(partition, record.offset + 1)
            else:
                readable.append(Read(record, arrival))
        await self._store(reader, partition, readable)

    async def _store(
        self, reader: PartitionReader, partition: TopicPartition, reads: Sequence[Read]
    ) -> None:
        """Store *reads* in one transaction; where one cannot be stored, each in its own."""
        if not reads:
            return
        try:
            addressees, conflicts = await self._commit_in_time([read.arrival for read in reads])
        except (asyncpg.PostgresError, StoringTimedOut) as error:
            if is_transient(error) and not isinstance(error, StoringTimedOut):
                raise
            if len(reads) > 1:
                for read in reads:
                    await self._store(reader, partition, [read])
                return
            if not is_not_storable(error):
                raise
            await self._set_aside(reads[0].record, Unreadable("not-storable"))
        else:
            self._wake.ring(addressees)
            for read in reads:
                if read.arrival.envelope.id in conflicts:
                    await self._set_aside(read.record, Unreadable("id-reused"), "conflict")
        reader.advance(partition, reads[-1].record.offset + 1)

    async def _set_aside(
        self, record: Any, reason: Unreadable, outcome: str = "unreadable"
    ) -> None:
        """Copy *record* to its dead-letter topic, or step over it if nothing can be copied."""
        copied = await self._dead_letters.put(record, reason)
        outcome = outcome if copied else "stepped_over"
        self._metrics.read(self._by_name[record.topic], outcome)
        log.error(
            "inbox.record_stepped_over" if not copied else f"inbox.record_{outcome}",
            extra={
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "reason": reason.reason,
                "place": reason.place,
            },
        )

    async def _commit_in_time(self, arrivals: Sequence[Arrival]) -> tuple[set[str], set[UUID]]:
        """Do as `_commit` does.

        Raises:
            StoringTimedOut: that took longer than a statement may take.
        """
        try:
            return await self._commit(arrivals)
        except (asyncpg.PostgresError, TimeoutError) as error:
            if is_statement_timeout(error):
                raise StoringTimedOut from error
            raise

    async def _commit(self, arrivals: Sequence[Arrival]) -> tuple[set[str], set[UUID]]:
        """Store what is new of *arrivals*; return who gets it, and the ids of conflicts."""
        names: set[str] = set()
        async with self._database.bus_reads.acquire() as connection, connection.transaction():
            outcomes = await self._identify(connection, arrivals)
            fresh = [a for a in arrivals if outcomes[a.envelope.id] in _FRESH]
            if fresh:
                names = await self._take_in(connection, fresh)
        for arrival in arrivals:
            outcome = outcomes[arrival.envelope.id]
            if outcome is _Outcome.REUSED:
                log.info(
                    "inbox.place_reused" if arrival.basis is Basis.PLACE else "inbox.id_shared",
                    extra={"topic": str(arrival.envelope.topic)},
                )
            if outcome is not _Outcome.CONFLICT:
                taken = "taken" if arrival.known else "unknown_type"
                counted = taken if outcome in _FRESH else "known"
                self._metrics.read(str(arrival.envelope.topic), counted)
        return names, {one for one, outcome in outcomes.items() if outcome is _Outcome.CONFLICT}

    async def _identify(
        self, connection: Any, arrivals: Sequence[Arrival]
    ) -> Mapping[UUID, _Outcome]:
        """Return by event id what each of *arrivals* is: its identity is stored with that."""
        own = [a for a in arrivals if a.own_id]
        rows = await connection.fetch(
            QUERIES["echoes"],
            [a.own_id for a in own],
            [str(a.envelope.topic) for a in own],
            [a.value for a in own],
        )
        echoes = {row["id"] for row in rows}
        foreign = [a for a in arrivals if a.own_id is None or a.own_id not in echoes]
        outcomes = dict.fromkeys((a.envelope.id for a in arrivals), _Outcome.KNOWN)
        new = await _claim(connection, foreign, [a.foreign_hash for a in foreign])
        outcomes |= dict.fromkeys(new, _Outcome.NEW)
        taken = [a for a in foreign if a.envelope.id not in new]
        if not taken:
            return outcomes
        rows = await connection.fetch(
            QUERIES["inbox_same"],
            [a.foreign_hash for a in taken],
            [a.digest for a in taken],
            [a.envelope.payload.decode() for a in taken],
            [a.basis is not Basis.PLACE for a in taken],
            [a.envelope.id for a in taken],
        )
        same = {row["event"] for row in rows}
        others = [a for a in taken if a.envelope.id not in same]
        conflicts = [a.envelope.id for a in others if a.basis is Basis.SOURCE]
        outcomes |= dict.fromkeys(conflicts, _Outcome.CONFLICT)
        second = [a for a in others if a.basis is not Basis.SOURCE]
        new = await _claim(connection, second, [a.content_hash for a in second])
        return outcomes | dict.fromkeys(new, _Outcome.REUSED)

    async def _take_in(self, connection: Any, fresh: Sequence[Arrival]) -> set[str]:
        known = {a.envelope.id for a in fresh if a.known}
        names = await self._outbox.store(
            connection,
            [a.envelope for a in fresh],
            lambda e: self._subscriptions.inside(e) if e.id in known else self._handling(e),
        )
        unknown = [a.envelope for a in fresh if not a.known]
        if unknown:
            await self._park(connection, unknown)
        return set(names)

    async def _park(self, connection: Any, envelopes: Sequence[Envelope]) -> None:
        rows = [(name, e) for e in envelopes for name in self._handling(e)]
        await connection.execute(
            QUERIES["park_unknown"],
            [name for name, _ in rows],
            [e.key for _, e in rows],
            [e.id for _, e in rows],
            [f"{e.topic}.unknown" for _, e in rows],
            "govid.bus.catalogue.UnknownEventType",
        )

    def _handling(self, envelope: Envelope) -> list[str]:
        """Return who handles what usually comes by this way; one of them will want it."""
        shape = SHAPES[Topic(envelope.topic)] if envelope.topic else None
        return [
            consumer.name
            for consumer in self._subscriptions
            if any(shape and issubclass(struct, shape) for struct in consumer.handles)
        ]

    def _by_place(self, values: Mapping[TopicPartition, int]) -> dict[tuple[str, int], int]:
        """Return *values* by the contract's names of the topics."""
        return {(self._by_name[p.topic].value, p.partition): n for p, n in values.items()}


async def _claim(
    connection: Any, arrivals: Sequence[Arrival], hashes: Sequence[bytes]
) -> set[UUID]:
    """Store each of *arrivals* under its identity of *hashes*; return the new events."""
    if not arrivals:
        return set()
    rows = await connection.fetch(
        QUERIES["inbox_take"],
        hashes,
        [a.source for a in arrivals],
        [a.foreign_id for a in arrivals],
        [a.envelope.id for a in arrivals],
        [a.digest for a in arrivals],
    )
    return {row["event_id"] for row in rows}
