"""Outbox relay: publishes pending deliveries to Kafka at least once, in key order, with stable ids.

No transaction is open during requests to Kafka. A round reads rows of the buckets whose leases are
held, sends them, and completes the acknowledged ones in one statement that is fenced by the leases.
After any failure the rows are still pending, and the next round reads them again. An outage uses no
attempts: nothing is read while Kafka is unavailable. The cost of a read does not grow with the
length of the backlog (see `ScanWatermark`).
"""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from govid.bus.delivery.backlog import ScanWatermark
from govid.bus.delivery.failures import DeliveryFailure, FailureRecorder
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events import Topic
from govid.bus.kafka.batches import (
    BatchSender,
    KafkaErrorClass,
    RecordBatch,
    Row,
    SendFailure,
    build_batches,
    classify_error,
)
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.kafka_ahead import AheadGuard
from govid.bus.kafka.producer import BATCH_BYTES, ManagedProducer
from govid.bus.kafka.topics import TopicRegistry
from govid.bus.metrics import BusMetrics
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class_name
from govid.bus.storage.sql import load_statements

log = logging.getLogger(__name__)


QUERIES = load_statements("govid.bus.kafka", "relay.sql")


class RelayBacklog:
    """The pending deliveries of the relay, with the published columns of their events."""

    def __init__(self, settings: BusSettings, database: Database) -> None:
        """Read from *database*."""
        self._settings = settings
        self._database = database
        self._watermark = ScanWatermark(RELAY, settings, database)

    async def fetch_due(
        self, buckets: Collection[int], in_flight: Collection[int], paused_topics: Collection[str]
    ) -> Sequence[Row]:
        """Return the oldest pending deliveries of *buckets*.

        Excludes the positions *in_flight* and the deliveries of *paused_topics*.
        """
        fetch = partial(self._fetch_rows, buckets, in_flight, paused_topics)
        due = await self._watermark.fetch_above(buckets, fetch, in_flight)
        while due:
            rows = await self._load_events(due)
            if rows or len(due) < self._settings.relay_batch_size:
                return rows
            # The events of all these deliveries were deleted; later deliveries are still pending.
            due = await fetch(due[-1]["pos"], self._watermark.skipped_keys)
        return ()

    async def _fetch_rows(
        self,
        buckets: Collection[int],
        in_flight: Collection[int],
        paused_topics: Collection[str],
        position: int,
        skipped_keys: Collection[str],
    ) -> Sequence[Any]:
        due: Sequence[Any] = await self._database.bus_reads.fetch(
            QUERIES["relay_backlog"],
            RELAY,
            list(buckets),
            list(in_flight),
            list(paused_topics),
            self._settings.relay_batch_size,
            position,
            list(skipped_keys),
        )
        return due

    async def _load_events(self, due: Sequence[Any]) -> Sequence[Row]:
        ids = [row["event_id"] for row in due]
        found = await self._database.bus_reads.fetch(
            QUERIES["relay_events"], ids, min(ids), max(ids)
        )
        events = {event["id"]: event for event in found}
        return [{**row, **events[row["event_id"]]} for row in due if row["event_id"] in events]


SEND_SECONDS = 5.0
LEASE_MARGIN_SECONDS = 2.0
"""Remaining lease time that is reserved to complete what was sent; less for short leases."""
TOPIC_PAUSE_SECONDS = 30.0
"""How long a topic is paused after Kafka refused to write to it."""
RETRY_PAUSE_SECONDS = 0.5


class OwnedRows(NamedTuple):
    """Rows that were read, and what has to hold still when they are sent and completed.

    `owned` are the leases at the time of the read (epoch by bucket), `history` is the number of
    changes of the database's history until then.
    """

    owned: dict[int, int]
    rows: Sequence[Row]
    history: int


class OutboxRelay:
    """The outbox relay: publishes the deliveries of the subscriber `kafka.relay`."""

    def __init__(
        self,
        settings: BusSettings,
        clients: KafkaClientFactory,
        database: Database,
        leases: Leases,
        wakeups: WakeupHub,
        producer: ManagedProducer,
        topics: TopicRegistry,
        metrics: BusMetrics | None = None,
    ) -> None:
        """Publish through *producer* the deliveries of the buckets leased by *leases*."""
        self.acknowledged_count = 0
        self._settings = settings
        self._database = database
        self._leases = leases
        self._wakeup = wakeups.event(RELAY)
        self._producer = producer
        self._topics = topics
        self.ahead_guard = AheadGuard(settings, clients, database)
        """Stops the relay from publishing while Kafka is ahead of the database."""
        self._relay_backlog = RelayBacklog(settings, database)
        self._metrics = metrics or BusMetrics()
        self._failures = FailureRecorder(RELAY, settings, database, leases, self._metrics)
        self._wire_names = {topic.value: settings.wire_name(topic) for topic in Topic}
        self._limits: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}
        self._completing_positions: set[int] = set()
        self._topics_change = -1
        """The topics change that applies to everything in flight on this replica."""
        self._next_read: asyncio.Task[OwnedRows] | None = None
        self._completion: asyncio.Task[None] | None = None
        self._failed_rounds = 0
        self._stopping = False
        # Only a part of a short lease: otherwise no time would remain to send anything.
        self._margin_seconds = min(LEASE_MARGIN_SECONDS, settings.lease_seconds / 6)

    async def run(self) -> None:
        """Publish until `finish`, or until cancelled."""
        try:
            while not self._stopping:
                try:
                    has_more = await self._run_round()
                except Exception as error:  # noqa: BLE001 - an edge: any error ends the round only
                    self._discard_next_read()
                    log.warning(
                        "relay.round_failed", extra={"error_class": error_class_name(error)}
                    )
                    has_more = False
                    await asyncio.sleep(RETRY_PAUSE_SECONDS)
                if not has_more:
                    await self._wait_for_work()
        finally:
            self._discard_next_read()
            if self._completion is not None:
                await asyncio.wait([self._completion], timeout=RETRY_PAUSE_SECONDS)

    def finish(self) -> None:
        """Ask `run` to return after the current round."""
        self._stopping = True
        self._wakeup.set()

    async def _run_round(self) -> bool:
        """Read, send and complete once; return whether more deliveries are certainly pending."""
        producer = await self._wait_for_producer()
        if producer is None or not await self.ahead_guard.allows_publishing():
            await self._apply_topics_change(())
            return False
        self._wakeup.clear()
        owned, rows, history = await self._fetch_next_rows()
        if not self.ahead_guard.has_compared(history) or await self._apply_topics_change(rows):
            return True
        # Computed after the read, because a slow read may outlast the leases.
        seconds = min(SEND_SECONDS, self._leases.remaining_seconds(RELAY) - self._margin_seconds)
        if not rows or seconds <= 0:
            await self._await_completion()
            return False
        full = len(rows) == self._settings.relay_batch_size
        queues, unwritable = build_batches(
            producer,
            rows,
            self._wire_name,
            self._topics.partition_count,
            self._limits,
            self._topics.installation,
        )
        if full and not unwritable:
            # The next read runs while these rows are sent.
            in_flight = self._completing_positions.union(row["pos"] for row in rows)
            self._next_read = asyncio.create_task(self._read_rows(in_flight))
        self._pause_topics(unwritable, "no partitions to write to")
        sender = BatchSender()
        if queues:
            await sender.send_all(producer, queues, seconds)
        if sender.failures:
            # Before anything else: nothing may be sent again on a producer in doubt.
            self._producer.replace(producer, error_class_name(sender.failures[0].error))
        await self._await_completion()
        sent = OwnedRows(owned, sender.select_completable(rows), history)
        self._start_completion(sender, sent)
        if not sender.failures:
            self._failed_rounds = 0
            return full
        # Rows that were read meanwhile may follow refused rows of the same key.
        self._discard_next_read()
        await self._await_completion()
        await self._handle_failures(sender.failures, owned)
        self._failed_rounds += 1
        await asyncio.sleep(min(0.05 * 2**self._failed_rounds, RETRY_PAUSE_SECONDS))
        return True

    async def _wait_for_producer(self) -> AIOKafkaProducer | None:
        """Wait for Kafka for at most one poll interval."""
        try:
            async with asyncio.timeout(self._settings.poll_seconds):
                return await self._producer.wait_until_ready()
        except TimeoutError:
            return None

    async def _apply_topics_change(self, rows: Sequence[Row]) -> bool:
        """Adopt a change that an operator made to a topic; return whether there was one.

        Rows that were read before the change are read again. Rows that were sent before it are
        completed first, so this replica can report that nothing from before the change is in
        flight.
        """
        owned = self._leases.owned_epochs(RELAY)
        if not owned:
            return False
        change = (
            rows[0]["topics_change"]
            if rows
            else await self._database.bus_reads.fetchval(QUERIES["topics_change"])
        )
        if change == self._topics_change:
            return False
        await self._await_completion()
        self._discard_next_read()
        await self._topics.reload_stored()
        await self._database.bus_reads.execute(
            QUERIES["topics_change_in_force"], self._leases.replica_id, change
        )
        self._topics_change = change
        return True

    async def _fetch_next_rows(self) -> OwnedRows:
        task, self._next_read = self._next_read, None
        return await (task if task is not None else self._read_rows(self._completing_positions))

    def _discard_next_read(self) -> None:
        task, self._next_read = self._next_read, None
        if task is not None:
            task.cancel()
            # The next read meets the same error and reports it.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _read_rows(self, in_flight: Collection[int]) -> OwnedRows:
        history = self._database.history.change_count
        owned = self._leases.owned_epochs(RELAY)
        if not owned:
            return OwnedRows(owned, (), history)
        now = time.monotonic()
        self._paused_until = {
            name: until for name, until in self._paused_until.items() if until > now
        }
        if self._topics.switching_topics:
            # A partition switch expires by itself if its command was killed.
            await self._topics.reload_stored()
        switching = {
            t for t, wire in self._wire_names.items() if wire in self._topics.switching_topics
        }
        waiting = switching.union(self._paused_until, self.ahead_guard.waiting_topics)
        rows = await self._relay_backlog.fetch_due(owned, in_flight, waiting)
        return OwnedRows(owned, rows, history)

    def _start_completion(self, sender: BatchSender, sent: OwnedRows) -> None:
        """Start to complete what was *sent*; the next read runs meanwhile and excludes it."""
        if sent.rows:
            self._completing_positions = {row["pos"] for row in sent.rows}
            self._completion = asyncio.create_task(self._complete(sender, sent))

    async def _await_completion(self) -> None:
        """Wait until the last sent rows are completed, if that is still running."""
        task, self._completion = self._completion, None
        if task is not None:
            try:
                await task
            finally:
                self._completing_positions = set()

    async def _complete(self, sender: BatchSender, sent: OwnedRows) -> None:
        """Complete what was *sent*: delete deliveries and store receipts, if all leases hold."""
        owned, rows, history = sent
        buckets = sorted({row["bucket"] for row in rows})
        positions = [sender.positions[row["pos"]] for row in rows]
        async with self._database.bus_reads.acquire() as connection:
            if not self.ahead_guard.has_compared(history):
                # This server may lack the events, and their receipts would hide that. What it has
                # of them is still pending there.
                return
            all_leases_held = await connection.fetchval(
                QUERIES["relay_complete"],
                RELAY,
                self._leases.replica_id,
                buckets,
                [owned[bucket] for bucket in buckets],
                [row["pos"] for row in rows],
                [row["event_id"] for row in rows],
                [position.topic for position in positions],
                [place.partition for place in positions],
                [place.offset for place in positions],
            )
        if all_leases_held:
            self.acknowledged_count += len(rows)
            self._metrics.count_acknowledged(
                RELAY, [(row["topic"], row["occurred_at"]) for row in rows]
            )
        else:
            self._metrics.count_lease_lost()
            log.info("relay.lease_lost", extra={"records": len(rows)})
            await self._drop_lost_buckets(buckets, owned)

    async def _drop_lost_buckets(self, buckets: Sequence[int], owned: dict[int, int]) -> None:
        """Drop buckets that another replica owns, or whose epoch changed, until the next renewal.

        Otherwise their rows would be sent again in every round until then.
        """
        rows = await self._database.bus_reads.fetch(
            QUERIES["relay_still_owned"],
            RELAY,
            self._leases.replica_id,
            buckets,
            [owned[bucket] for bucket in buckets],
        )
        held = {row["bucket"] for row in rows}
        for bucket in buckets:
            if bucket not in held and self._leases.owned_epochs(RELAY).get(bucket) == owned[bucket]:
                self._leases.drop(RELAY, bucket)

    async def _handle_failures(
        self, failures: Sequence[SendFailure], owned: dict[int, int]
    ) -> None:
        """React to each failed batch according to the class of its error."""
        for failed in failures:
            fault = classify_error(failed.error)
            if fault is KafkaErrorClass.POISON:
                await self._isolate_record(failed.batch, failed.error, owned)
            elif fault is KafkaErrorClass.CONFIGURATION:
                names = {row["topic"] for row in failed.batch.rows}
                self._pause_topics(names, error_class_name(failed.error))

    async def _isolate_record(
        self, batch: RecordBatch, error: BaseException, owned: dict[int, int]
    ) -> None:
        """Park or dead-letter a record that was refused alone; otherwise send smaller batches."""
        if len(batch.rows) > 1:
            self._limits[batch.topic] = self._limits.get(batch.topic, BATCH_BYTES) // 8
            return
        (row,) = batch.rows
        self._limits.pop(batch.topic, None)
        await self._failures.park_or_dead_letter(
            DeliveryFailure.from_error("refused", error),
            bucket=row["bucket"],
            epoch=owned[row["bucket"]],
            key=row["key"] or f"@{row['event_id']}",
            event_id=row["event_id"],
            pos=row["pos"],
            ordered=row["key"] is not None,
        )

    def _pause_topics(self, topics: set[str], reason: str) -> None:
        for name in topics:
            self._paused_until[name] = time.monotonic() + TOPIC_PAUSE_SECONDS
            log.error("relay.topic_rests", extra={"topic": name, "reason": reason})

    def _wire_name(self, stored: str) -> str:
        return self._wire_names.get(stored, stored)

    async def _wait_for_work(self) -> None:
        try:
            # Not `wait_for`: it loses a cancellation that coincides with the wake-up (Python 3.11).
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._wakeup.wait()
        except TimeoutError:
            return
