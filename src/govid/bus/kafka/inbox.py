"""Inbox: the Kafka consumer group that stores each foreign record once, or dead-letters it.

A record has one of four fates:

- *stored*: its event has deliveries for the modules that handle it. A duplicate, or a record that
  govid published itself, has no further effect;
- *parked*: its type is known but its version is not. It is stored, and its deliveries wait for a
  release that has the version (`InboxConsumer._park_unknown`);
- *dead-lettered*: it goes to the dead-letter topic `<topic>.dlq` (`DeadLetterPublisher`), and the
  records after it are consumed. Either it cannot be decoded or is no event of its topic
  (`InvalidRecord`), or its source has used its id for another content (`id-reused`), or the
  database cannot store it (`not-storable`). If that topic refuses it for `SKIP_AFTER_SECONDS`, and
  its reason headers too, it is skipped;
- *stopped*: the Kafka batch around it cannot be decoded (`UndecodableBatch`), or storing fails for
  a reason that may pass. Its partition stops, and no other (`PartitionReader`), until that is over
  or an operator skips the batch (`govid topics skip`).

Offsets are committed after the database has stored the records. Until then a restart reads them
again, and the inbox table identifies the duplicates.
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

from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import Subscriptions
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events import Topic
from govid.bus.events.envelope import EventEnvelope
from govid.bus.events.registry import UnknownEventType
from govid.bus.kafka.batch_decoding import limit_aiokafka_decompression
from govid.bus.kafka.client_lifecycle import start_client, stop_client
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.inbound_faults import InboundFaults, InboxGaps
from govid.bus.kafka.inbound_records import (
    INBOUND_STRUCTS,
    DeadLetterPublisher,
    IdentityBasis,
    InboundRecord,
    InboundRecordParser,
    InvalidRecord,
)
from govid.bus.kafka.partition_reader import FAILING_ATTEMPTS, PartitionReader
from govid.bus.kafka.topics import INBOUND_TOPICS, TopicRegistry
from govid.bus.metrics import BusMetrics
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.errors import (
    error_class_name,
    is_not_storable,
    is_statement_timeout,
    is_transient,
    is_unavailable,
)
from govid.bus.storage.sql import load_statements

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.kafka", "inbox.sql")

PAUSE_SECONDS = 1.0


class _Outcome(Enum):
    """How a record relates to those that are stored already."""

    NEW = auto()
    REUSED = auto()
    """It has the identity of a stored record but another content; it is stored separately."""
    DUPLICATE = auto()
    """It is stored already, or is an event that govid published itself."""
    CONFLICT = auto()
    """Its source has used the same id for another content."""


_STORED = (_Outcome.NEW, _Outcome.REUSED)


class ReadRecord(NamedTuple):
    """A Kafka record, with what it was parsed into."""

    record: Any
    inbound: InboundRecord


class StoringTimedOut(Exception):
    """Storing records takes longer than the statement timeout."""


class InboxConsumer:
    """Consumes the inbound topics and stores their events for the modules."""

    def __init__(
        self,
        settings: BusSettings,
        clients: KafkaClientFactory,
        database: Database,
        parser: InboundRecordParser,
        subscriptions: Subscriptions,
        outbox: PostgresOutbox,
        wakeups: WakeupHub,
        topics: TopicRegistry,
        dead_letters: DeadLetterPublisher,
        metrics: BusMetrics | None = None,
    ) -> None:
        """Store events through *outbox*, with deliveries for internal *subscriptions* only."""
        self._settings = settings
        self._clients = clients
        self._database = database
        self._parser = parser
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._wakeups = wakeups
        self._topics = topics
        self._dead_letters = dead_letters
        self._metrics = metrics or BusMetrics()
        self._metrics.create_inbox_series(INBOUND_TOPICS)
        self._topics_by_wire_name = {settings.wire_name(topic): topic for topic in INBOUND_TOPICS}
        self._connected: bool | None = None
        self._reader: PartitionReader | None = None

    @property
    def lag(self) -> dict[tuple[str, int], int]:
        """Number of unread records, by topic and partition."""
        return self._key_by_topic_name({} if self._reader is None else self._reader.lag)

    @property
    def held_back(self) -> dict[tuple[str, int], int]:
        """Number of unread records behind an open transaction, by topic and partition."""
        return self._key_by_topic_name({} if self._reader is None else self._reader.held_back)

    @property
    def failing_partitions(self) -> dict[tuple[str, int], int]:
        """The failing partitions of this replica: 1 if the partition has stopped, 0 if not yet.

        A partition counts as failing from its second failure at one position on.
        """
        if self._reader is None:
            return {}
        failing = {
            partition: int(trouble.is_stopped)
            for partition, trouble in self._reader.failures.items()
            if trouble.attempts >= FAILING_ATTEMPTS
        }
        return self._key_by_topic_name(failing)

    def health_state(self) -> str:
        """Return the state of the inbox: "ok", "connecting", "down", "failing" or "stopped"."""
        if self._connected is None:
            return "connecting"
        if not self._connected:
            return "down"
        stopped = self.failing_partitions.values()
        return "stopped" if any(stopped) else "failing" if stopped else "ok"

    async def run(self) -> None:
        """Consume records until cancelled."""
        # A consumer that finds a topic missing would check again only minutes later.
        await self._topics.is_checked.wait()
        while True:
            consumer = self._build_consumer()
            try:
                # A new reader for each consumer: positions of the previous one are invalid.
                reader = self._build_reader(consumer)
                consumer.subscribe(list(self._topics_by_wire_name), listener=reader)
                await self._start(consumer)
                self._reader = reader
                while self._clients.has_current_credentials(consumer):
                    await self._consume(reader)
                    self._connected = True
            except KafkaError as error:
                # The producers log that Kafka is unavailable.
                self._connected = False
                log.debug("inbox.interrupted", extra={"error_class": error_class_name(error)})
                await asyncio.sleep(max(PAUSE_SECONDS, self._clients.retry_seconds))
            except Exception as error:  # noqa: BLE001 - an edge: any error restarts the consumer
                self._connected = False
                log.warning("inbox.interrupted", extra={"error_class": error_class_name(error)})
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                await asyncio.shield(stop_client(consumer))

    async def _start(self, consumer: AIOKafkaConsumer) -> None:
        """Start *consumer*, which waits for the answer of its group.

        Raises:
            KafkaError: Kafka is unavailable, or the password was replaced meanwhile. With the
                former one the consumer would try to reach its group for ever.
        """
        starting = asyncio.create_task(start_client(consumer))
        try:
            while not (await asyncio.wait([starting], timeout=PAUSE_SECONDS))[0]:
                if not self._clients.has_current_credentials(consumer):
                    raise KafkaError("the password was replaced during the start")
            await starting
        finally:
            starting.cancel()
            await asyncio.wait([starting])

    def _build_reader(self, consumer: AIOKafkaConsumer) -> PartitionReader:
        connections = self._database.bus_reads
        return PartitionReader(
            consumer,
            InboundFaults(connections),
            InboxGaps(
                connections,
                lambda topic, count: self._metrics.count_removed_unread(
                    self._topics_by_wire_name[topic], count
                ),
            ),
        )

    def _build_consumer(self) -> AIOKafkaConsumer:
        """Return a member of the group that all replicas share."""
        limit_aiokafka_decompression()
        return self._clients.create_consumer(
            client_id=f"{self._settings.kafka_client_id}-inbox",
            group_id=self._settings.inbox_group,
            enable_auto_commit=False,
            # The reader chooses each start position and detects records that Kafka removed.
            auto_offset_reset="none",
            isolation_level="read_committed",
            request_timeout_ms=11_000,
            metadata_max_age_ms=30_000,
        )

    async def _consume(self, reader: PartitionReader) -> None:
        for partition, fetched in (await reader.fetch_records()).items():
            try:
                await self._consume_partition(reader, partition, fetched.records)
            except KafkaError:
                raise
            except Exception as error:
                if is_unavailable(error) and not isinstance(error, StoringTimedOut):
                    raise
                await reader.rewind(partition, error)
            else:
                reader.set_position(partition, fetched.next_offset)
        await reader.commit_positions()

    async def _consume_partition(
        self, reader: PartitionReader, partition: TopicPartition, records: Sequence[Any]
    ) -> None:
        """Store *records* in their order and advance *reader* past those that are done."""
        readable: list[ReadRecord] = []
        for record in records:
            try:
                inbound = self._parser.parse(self._topics_by_wire_name[partition.topic], record)
            except InvalidRecord as reason:
                await self._store(reader, partition, readable)
                readable = []
                await self._dead_letter(record, reason)
                reader.set_position(partition, record.offset + 1)
            else:
                readable.append(ReadRecord(record, inbound))
        await self._store(reader, partition, readable)

    async def _store(
        self, reader: PartitionReader, partition: TopicPartition, read_records: Sequence[ReadRecord]
    ) -> None:
        """Store *read_records* in one transaction, or one by one if that is not possible."""
        if not read_records:
            return
        try:
            subscribers, conflicts = await self._commit_in_time(
                [read.inbound for read in read_records]
            )
        except (asyncpg.PostgresError, StoringTimedOut) as error:
            if is_transient(error) and not isinstance(error, StoringTimedOut):
                raise
            if len(read_records) > 1:
                for read in read_records:
                    await self._store(reader, partition, [read])
                return
            if not is_not_storable(error):
                raise
            await self._dead_letter(read_records[0].record, InvalidRecord("not-storable"))
        else:
            self._wakeups.notify(subscribers)
            for read in read_records:
                if read.inbound.envelope.id in conflicts:
                    await self._dead_letter(read.record, InvalidRecord("id-reused"), "conflict")
        reader.set_position(partition, read_records[-1].record.offset + 1)

    async def _dead_letter(
        self, record: Any, reason: InvalidRecord, outcome: str = "unreadable"
    ) -> None:
        """Publish *record* to its dead-letter topic, or skip it if it was refused for too long.

        A skipped record is called "stepped over" in the log and in metrics, and the path in the
        value is called "place": these names are permanent.
        """
        copied = await self._dead_letters.publish(record, reason)
        outcome = outcome if copied else "stepped_over"
        self._metrics.count_inbox_record(self._topics_by_wire_name[record.topic], outcome)
        log.error(
            "inbox.record_stepped_over" if not copied else f"inbox.record_{outcome}",
            extra={
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "reason": reason.reason,
                "place": reason.path,
            },
        )

    async def _commit_in_time(
        self, inbound_records: Sequence[InboundRecord]
    ) -> tuple[set[str], set[UUID]]:
        """Call `_commit` and translate its statement timeout.

        Raises:
            StoringTimedOut: storing took longer than the statement timeout.
        """
        try:
            return await self._commit(inbound_records)
        except (asyncpg.PostgresError, TimeoutError) as error:
            if is_statement_timeout(error):
                raise StoringTimedOut from error
            raise

    async def _commit(self, inbound_records: Sequence[InboundRecord]) -> tuple[set[str], set[UUID]]:
        """Store the new *inbound_records*; return their subscribers, and the ids of conflicts."""
        names: set[str] = set()
        async with self._database.bus_reads.acquire() as connection, connection.transaction():
            outcomes = await self._identify(connection, inbound_records)
            fresh = [a for a in inbound_records if outcomes[a.envelope.id] in _STORED]
            if fresh:
                names = await self._store_events(connection, fresh)
        for inbound in inbound_records:
            outcome = outcomes[inbound.envelope.id]
            if outcome is _Outcome.REUSED:
                log.info(
                    "inbox.place_reused"
                    if inbound.basis is IdentityBasis.POSITION
                    else "inbox.id_shared",
                    extra={"topic": str(inbound.envelope.topic)},
                )
            if outcome is not _Outcome.CONFLICT:
                stored_as = "taken" if inbound.is_supported_version else "unknown_type"
                counted = stored_as if outcome in _STORED else "known"
                self._metrics.count_inbox_record(str(inbound.envelope.topic), counted)
        return names, {one for one, outcome in outcomes.items() if outcome is _Outcome.CONFLICT}

    async def _identify(
        self, connection: Any, inbound_records: Sequence[InboundRecord]
    ) -> Mapping[UUID, _Outcome]:
        """Store the identities of *inbound_records*; return the outcome of each by event id."""
        with_own_id = [a for a in inbound_records if a.own_event_id]
        rows = await connection.fetch(
            QUERIES["echoes"],
            [a.own_event_id for a in with_own_id],
            [str(a.envelope.topic) for a in with_own_id],
            [a.value for a in with_own_id],
        )
        echoes = {row["id"] for row in rows}
        foreign = [
            a for a in inbound_records if a.own_event_id is None or a.own_event_id not in echoes
        ]
        outcomes = dict.fromkeys((a.envelope.id for a in inbound_records), _Outcome.DUPLICATE)
        new = await _insert_identities(connection, foreign, [a.foreign_hash for a in foreign])
        outcomes |= dict.fromkeys(new, _Outcome.NEW)
        duplicates = [a for a in foreign if a.envelope.id not in new]
        if not duplicates:
            return outcomes
        rows = await connection.fetch(
            QUERIES["same_content"],
            [a.foreign_hash for a in duplicates],
            [a.digest for a in duplicates],
            [a.envelope.payload.decode() for a in duplicates],
            [a.basis is not IdentityBasis.POSITION for a in duplicates],
            [a.envelope.id for a in duplicates],
        )
        repeated_ids = {row["event"] for row in rows}
        others = [a for a in duplicates if a.envelope.id not in repeated_ids]
        conflicts = [a.envelope.id for a in others if a.basis is IdentityBasis.SOURCE]
        outcomes |= dict.fromkeys(conflicts, _Outcome.CONFLICT)
        reused = [a for a in others if a.basis is not IdentityBasis.SOURCE]
        new = await _insert_identities(connection, reused, [a.content_hash for a in reused])
        return outcomes | dict.fromkeys(new, _Outcome.REUSED)

    async def _store_events(self, connection: Any, fresh: Sequence[InboundRecord]) -> set[str]:
        known = {a.envelope.id for a in fresh if a.is_supported_version}
        names = await self._outbox.store(
            connection,
            [a.envelope for a in fresh],
            lambda e: (
                self._subscriptions.module_subscribers_for(e)
                if e.id in known
                else self._subscribers_for(e)
            ),
        )
        unknown = [a.envelope for a in fresh if not a.is_supported_version]
        if unknown:
            await self._park_unknown(connection, unknown)
        return set(names)

    async def _park_unknown(self, connection: Any, envelopes: Sequence[EventEnvelope]) -> None:
        rows = [(name, e) for e in envelopes for name in self._subscribers_for(e)]
        await connection.execute(
            QUERIES["park_unknown"],
            [name for name, _ in rows],
            [e.key for _, e in rows],
            [e.id for _, e in rows],
            [f"{e.topic}.unknown" for _, e in rows],
            error_class_name(UnknownEventType()),
        )

    def _subscribers_for(self, envelope: EventEnvelope) -> list[str]:
        """Return the subscribers that handle known events of the topic of *envelope*."""
        shape = INBOUND_STRUCTS[Topic(envelope.topic)] if envelope.topic else None
        return [
            subscriber.name
            for subscriber in self._subscriptions
            if any(shape and issubclass(struct, shape) for struct in subscriber.handles)
        ]

    def _key_by_topic_name(
        self, values: Mapping[TopicPartition, int]
    ) -> dict[tuple[str, int], int]:
        """Return *values* with the topics named as in the contract."""
        return {
            (self._topics_by_wire_name[p.topic].value, p.partition): n for p, n in values.items()
        }


async def _insert_identities(
    connection: Any, inbound_records: Sequence[InboundRecord], hashes: Sequence[bytes]
) -> set[UUID]:
    """Insert the identities *hashes* of *inbound_records*; return the events that are new."""
    if not inbound_records:
        return set()
    rows = await connection.fetch(
        QUERIES["insert_identities"],
        hashes,
        [a.source for a in inbound_records],
        [a.foreign_id for a in inbound_records],
        [a.envelope.id for a in inbound_records],
        [a.digest for a in inbound_records],
    )
    return {row["event_id"] for row in rows}
