"""Takes in what others publish: each record once, unreadable ones set aside, then the offsets.

Offsets are committed after the database has the records; until then a restart brings them again,
and the inbox table knows them. What govid published itself and reads back has no effect.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from govid.bus.consumers import Subscriptions
from govid.bus.contracts import Topic
from govid.bus.envelope import Envelope
from govid.bus.kafka.cleanup import start, stop
from govid.bus.kafka.deadletters import DeadLetters
from govid.bus.kafka.intake import SHAPES, Arrival, Intake, Unreadable
from govid.bus.kafka.sql import QUERIES
from govid.bus.kafka.topics_admin import INBOUND, Topics
from govid.bus.metrics import Metrics
from govid.bus.outbox import PostgresOutbox
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class, is_not_storable
from govid.bus.wake import Wake

log = logging.getLogger(__name__)

POLL_MS = 500
POLL_RECORDS = 500
PAUSE_SECONDS = 1.0


class Read(NamedTuple):
    """A record that was read, and as what."""

    record: Any
    arrival: Arrival


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
        self._by_name = {settings.wire_name(topic): topic for topic in INBOUND}
        self._left: Mapping[TopicPartition, int] = {}

    @property
    def lag(self) -> dict[tuple[str, int], int]:
        """How many records were left after the last read, by topic and partition."""
        return {(self._by_name[p.topic].value, p.partition): n for p, n in self._left.items()}

    async def run(self) -> None:
        """Take in what comes, until cancelled."""
        # A consumer that meets a missing topic would look again only minutes later.
        await self._topics.known.wait()
        while True:
            consumer = self._consumer()
            try:
                await start(consumer)
                while True:
                    await self._take(consumer)
            except KafkaError:
                # That Kafka is away has been said, by the producers.
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - one of the four edges
                log.warning("inbox.interrupted", extra={"error_class": error_class(error)})
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                await asyncio.shield(stop(consumer))

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            *self._by_name,
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            client_id=f"{self._settings.kafka_client_id}-inbox",
            group_id=f"{self._settings.kafka_client_id}.inbox",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=11_000,
            metadata_max_age_ms=30_000,
        )

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        try:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except (ValueError, LookupError, TypeError):
            # A record that the client itself cannot take apart, such as one with a header whose
            # name is no text. It says neither which nor where.
            batches = await self._one_by_one(consumer)
        if not batches:
            return
        readable: list[Read] = []
        for partition, records in batches.items():
            for record in records:
                try:
                    arrival = self._intake.read(self._by_name[partition.topic], record)
                except Unreadable as reason:
                    await self._dead_letters.put(record, reason)
                    self._metrics.read(self._by_name[partition.topic], "unreadable")
                else:
                    readable.append(Read(record, arrival))
        await self._store(readable)
        offsets = _offsets(batches)
        await consumer.commit(offsets)
        self._left = _left(consumer, offsets, self._left)

    async def _one_by_one(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[Any]]:
        """Read one record of each partition, and step over those that cannot be taken apart."""
        batches: dict[TopicPartition, list[Any]] = {}
        for partition in consumer.assignment():
            try:
                batches |= await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=1)
            except (ValueError, LookupError, TypeError) as error:
                position = await consumer.position(partition)
                consumer.seek(partition, position + 1)
                self._metrics.read(self._by_name[partition.topic], "unreadable")
                log.error(  # noqa: TRY400 - a traceback may quote the record (I9)
                    "inbox.record_stepped_over",
                    extra={
                        "topic": partition.topic,
                        "partition": partition.partition,
                        "error_class": error_class(error),
                    },
                )
        return batches

    async def _store(self, reads: Sequence[Read]) -> None:
        """Store *reads* in one transaction; where one cannot be stored, each in its own."""
        if not reads:
            return
        try:
            addressees = await self._commit([read.arrival for read in reads])
        except asyncpg.PostgresError as error:
            if not is_not_storable(error):
                raise
            if len(reads) == 1:
                await self._dead_letters.put(reads[0].record, Unreadable("not-storable"))
                self._metrics.read(str(reads[0].arrival.envelope.topic), "unreadable")
                return
            for read in reads:
                await self._store([read])
        else:
            self._wake.ring(addressees)

    async def _commit(self, arrivals: Sequence[Arrival]) -> set[str]:
        names: set[str] = set()
        async with self._database.bus_reads.acquire() as connection, connection.transaction():
            own = await connection.fetch(
                QUERIES["known_events"], [a.own_id for a in arrivals if a.own_id]
            )
            echoes = {row["id"] for row in own}
            foreign = [a for a in arrivals if a.own_id is None or a.own_id not in echoes]
            taken = await connection.fetch(
                QUERIES["inbox_take"],
                [a.foreign_hash for a in foreign],
                [a.source for a in foreign],
                [a.foreign_id for a in foreign],
                [a.envelope.id for a in foreign],
            )
            new = {row["event_id"] for row in taken}
            fresh = [a for a in foreign if a.envelope.id in new]
            if fresh:
                names = await self._take_in(connection, fresh)
        for arrival in arrivals:
            outcome = "taken" if arrival.known else "unknown_type"
            taken_in = arrival.envelope.id in new
            self._metrics.read(str(arrival.envelope.topic), outcome if taken_in else "known")
        return names

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


def _offsets(
    batches: Mapping[TopicPartition, Sequence[Any]],
) -> dict[TopicPartition, int]:
    return {partition: records[-1].offset + 1 for partition, records in batches.items()}


def _left(
    consumer: AIOKafkaConsumer,
    read: Mapping[TopicPartition, int],
    before: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Return how many records are left of each partition that this replica has now."""
    now = {partition: (consumer.highwater(partition) or n) - n for partition, n in read.items()}
    mine = consumer.assignment()
    return {partition: n for partition, n in {**before, **now}.items() if partition in mine}
