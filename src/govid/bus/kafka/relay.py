"""Publishes what is owed to Kafka: at least once, each key in order, with stable ids.

No transaction is open while Kafka is spoken to. A round reads rows of owned buckets, sends them,
and strikes off what was acknowledged, in one statement under the leases. Whatever else happens,
the rows are still there, and the next round reads them again. An outage spends nothing: while
Kafka is away, nothing is read at all.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaProducer

from govid.bus.consumers import RELAY
from govid.bus.contracts import Topic
from govid.bus.failures import Failure, Failures
from govid.bus.kafka.debts import QUERIES, Debts
from govid.bus.kafka.faults import Fault, classify
from govid.bus.kafka.kafka_ahead import AheadGuard
from govid.bus.kafka.producer import BATCH_BYTES, Producer
from govid.bus.kafka.shipment import Parcel, Refusal, Row, Shipment, pack
from govid.bus.kafka.topics_admin import Topics
from govid.bus.leases import Leases
from govid.bus.metrics import Metrics
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_class
from govid.bus.wake import Wake

log = logging.getLogger(__name__)

SEND_SECONDS = 5.0
LEASE_MARGIN_SECONDS = 2.0
"""What has to be left of the leases after the sending, to strike off what was sent, at most."""
REST_SECONDS = 30.0
"""How long a topic rests that may not be written to."""
PAUSE_SECONDS = 0.5

Backlog = tuple[dict[int, int], Sequence[Row]]
"""What was owned at the time of a read, by bucket and epoch, and the rows."""


class Relay:
    """The subscriber `kafka.relay`."""

    def __init__(
        self,
        settings: BusSettings,
        database: Database,
        leases: Leases,
        wake: Wake,
        producer: Producer,
        topics: Topics,
        metrics: Metrics | None = None,
    ) -> None:
        """Send through *producer* what the buckets of *leases* hold."""
        self.acknowledged = 0
        self._settings = settings
        self._database = database
        self._leases = leases
        self._bell = wake.bell(RELAY)
        self._producer = producer
        self._topics = topics
        self.guard = AheadGuard(settings, database)
        """Keeps the relay from publishing while Kafka is ahead of the database."""
        self._debts = Debts(settings, database)
        self._metrics = metrics or Metrics()
        self._failures = Failures(RELAY, settings, database, leases, self._metrics)
        self._names = {topic.value: settings.wire_name(topic) for topic in Topic}
        self._limits: dict[str, int] = {}
        self._resting: dict[str, float] = {}
        self._sent: set[int] = set()
        self._topics_change = -1
        """The change of the topics that is in force for all that is under way here."""
        self._reading: asyncio.Task[Backlog] | None = None
        self._striking: asyncio.Task[None] | None = None
        self._troubles = 0
        self._stopping = False
        # Of a short lease a part: else there would never be time to send anything.
        self._margin_seconds = min(LEASE_MARGIN_SECONDS, settings.lease_seconds / 6)

    async def run(self) -> None:
        """Publish until `finish`, or until cancelled."""
        try:
            while not self._stopping:
                try:
                    busy = await self._round()
                except Exception as error:  # noqa: BLE001 - one of the four edges
                    self._forget_read()
                    log.warning("relay.round_failed", extra={"error_class": error_class(error)})
                    busy = False
                    await asyncio.sleep(PAUSE_SECONDS)
                if not busy:
                    await self._rest()
        finally:
            self._forget_read()
            if self._striking is not None:
                await asyncio.wait([self._striking], timeout=PAUSE_SECONDS)

    def finish(self) -> None:
        """Ask `run` to return after the present round."""
        self._stopping = True
        self._bell.set()

    async def _round(self) -> bool:
        """Read, send and strike off once; tell whether there is surely more."""
        producer = await self._connected()
        if producer is None or not await self.guard.allows():
            await self._is_topics_change_new(())
            return False
        self._bell.clear()
        owned, rows = await self._backlog()
        if await self._is_topics_change_new(rows):
            return True
        # Only now: a slow read may have outlasted the leases.
        seconds = min(SEND_SECONDS, self._leases.remaining(RELAY) - self._margin_seconds)
        if not rows or seconds <= 0:
            await self._struck()
            return False
        full = len(rows) == self._settings.relay_batch_size
        lanes, closed = pack(
            producer,
            rows,
            self._wire_name,
            self._topics.partitions,
            self._limits,
            self._topics.installation,
        )
        if full and not closed:
            # The next read goes on while these are sent.
            under_way = self._sent.union(row["pos"] for row in rows)
            self._reading = asyncio.create_task(self._read(under_way))
        self._let_rest(closed, "no partitions to write to")
        shipment = Shipment()
        if lanes:
            await shipment.send(producer, lanes, seconds)
        if shipment.refusals:
            # At once, whatever comes next: nothing may be sent again on a producer in doubt.
            self._producer.replace(producer, error_class(shipment.refusals[0].error))
        await self._struck()
        self._strike(shipment, shipment.acknowledged(rows), owned)
        if not shipment.refusals:
            self._troubles = 0
            return full
        # What was read meanwhile may stand behind what was refused.
        self._forget_read()
        await self._struck()
        await self._answer(shipment.refusals, owned)
        self._troubles += 1
        await asyncio.sleep(min(0.05 * 2**self._troubles, PAUSE_SECONDS))
        return True

    async def _connected(self) -> AIOKafkaProducer | None:
        """Wait for Kafka, for as long as a poll takes."""
        try:
            async with asyncio.timeout(self._settings.poll_seconds):
                return await self._producer.ready()
        except TimeoutError:
            return None

    async def _is_topics_change_new(self, rows: Sequence[Row]) -> bool:
        """Tell whether an operator has changed a topic since the last read; adopt the change.

        What was read before has to be read again. What was sent before is struck off by then, so
        this replica can say that nothing is under way that it began before the change.
        """
        owned = self._leases.owned(RELAY)
        if not owned:
            return False
        change = (
            rows[0]["topics_change"]
            if rows
            else await self._database.bus_reads.fetchval(QUERIES["topics_change"])
        )
        if change == self._topics_change:
            return False
        await self._struck()
        self._forget_read()
        await self._topics.reload()
        await self._database.bus_reads.execute(
            QUERIES["topics_change_in_force"], self._leases.replica, change
        )
        self._topics_change = change
        return True

    async def _backlog(self) -> Backlog:
        task, self._reading = self._reading, None
        return await (task if task is not None else self._read(self._sent))

    def _forget_read(self) -> None:
        task, self._reading = self._reading, None
        if task is not None:
            task.cancel()
            # Whatever it met, the next read will meet it too, and say so.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _read(self, under_way: Collection[int]) -> Backlog:
        owned = self._leases.owned(RELAY)
        if not owned:
            return owned, ()
        now = time.monotonic()
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        if self._topics.switching:
            # A switch ends by itself when the command that began it does not.
            await self._topics.reload()
        switching = {t for t, wire in self._names.items() if wire in self._topics.switching}
        waiting = switching.union(self._resting, self.guard.waiting)
        return owned, await self._debts.read(owned, under_way, waiting)

    def _strike(self, shipment: Shipment, rows: Sequence[Row], owned: dict[int, int]) -> None:
        """Begin to strike *rows* off; the next read goes on meanwhile, and leaves them out."""
        if rows:
            self._sent = {row["pos"] for row in rows}
            self._striking = asyncio.create_task(self._complete(shipment, rows, owned))

    async def _struck(self) -> None:
        """Wait until the last rows are struck off, if they still have to be."""
        task, self._striking = self._striking, None
        if task is not None:
            try:
                await task
            finally:
                self._sent = set()

    async def _complete(
        self, shipment: Shipment, rows: Sequence[Row], owned: dict[int, int]
    ) -> None:
        buckets = sorted({row["bucket"] for row in rows})
        places = [shipment.places[row["pos"]] for row in rows]
        held = await self._database.bus_reads.fetchval(
            QUERIES["relay_complete"],
            RELAY,
            self._leases.replica,
            buckets,
            [owned[bucket] for bucket in buckets],
            [row["pos"] for row in rows],
            [row["event_id"] for row in rows],
            [place.topic for place in places],
            [place.partition for place in places],
            [place.offset for place in places],
        )
        if held:
            self.acknowledged += len(rows)
            self._metrics.acknowledged(RELAY, [(row["topic"], row["occurred_at"]) for row in rows])
        else:
            self._metrics.lease_lost()
            log.info("relay.lease_lost", extra={"records": len(rows)})
            await self._forget_lost(buckets, owned)

    async def _forget_lost(self, buckets: Sequence[int], owned: dict[int, int]) -> None:
        """Leave buckets alone that are another's, or have another epoch, until the next renewal.

        Without this they would be sent again and again until then.
        """
        rows = await self._database.bus_reads.fetch(
            QUERIES["relay_still_owned"],
            RELAY,
            self._leases.replica,
            buckets,
            [owned[bucket] for bucket in buckets],
        )
        held = {row["bucket"] for row in rows}
        for bucket in buckets:
            if bucket not in held and self._leases.owned(RELAY).get(bucket) == owned[bucket]:
                self._leases.forget(RELAY, bucket)

    async def _answer(self, refusals: Sequence[Refusal], owned: dict[int, int]) -> None:
        """Do what each refusal asks for."""
        for refusal in refusals:
            fault = classify(refusal.error)
            if fault is Fault.POISON:
                await self._isolate(refusal.parcel, refusal.error, owned)
            elif fault is Fault.CONFIGURATION:
                names = {row["topic"] for row in refusal.parcel.rows}
                self._let_rest(names, error_class(refusal.error))

    async def _isolate(self, parcel: Parcel, error: BaseException, owned: dict[int, int]) -> None:
        """Set a record aside that Kafka refused alone; of several, send fewer at a time."""
        if len(parcel.rows) > 1:
            self._limits[parcel.topic] = self._limits.get(parcel.topic, BATCH_BYTES) // 8
            return
        (row,) = parcel.rows
        self._limits.pop(parcel.topic, None)
        await self._failures.record(
            Failure.of("refused", error),
            bucket=row["bucket"],
            epoch=owned[row["bucket"]],
            key=row["key"] or f"@{row['event_id']}",
            event_id=row["event_id"],
            pos=row["pos"],
            ordered=row["key"] is not None,
        )

    def _let_rest(self, topics: set[str], reason: str) -> None:
        for name in topics:
            self._resting[name] = time.monotonic() + REST_SECONDS
            log.error("relay.topic_rests", extra={"topic": name, "reason": reason})

    def _wire_name(self, stored: str) -> str:
        return self._names.get(stored, stored)

    async def _rest(self) -> None:
        try:
            # Not `wait_for`: a cancellation that meets the bell would be lost in it (Python 3.11).
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._bell.wait()
        except TimeoutError:
            return
