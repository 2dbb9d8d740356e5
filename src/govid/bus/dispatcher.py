"""Hands events to one subscriber: each key in order, each effect exactly once (I3, I6).

A round reads what is owed in the buckets that this replica holds, oldest first. Keys run side by
side, the events of a key one after the other. For each event the handler first prepares, with no
transaction open; then one transaction checks the lease, marks the event as handled, lets the
handler write, and commits it all. Events of different keys that are ready together share it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from datetime import UTC
from typing import Any

import msgspec

from govid.bus.backlog import Backlog, Debt
from govid.bus.catalogue import Catalogue, UnknownEventType
from govid.bus.consumers import Consumer, Delivery
from govid.bus.delivery.groups import DeliveryGroups, LeaseLost, ReadyDelivery
from govid.bus.envelope import Headers
from govid.bus.errors import Outage
from govid.bus.failures import Failure, Failures
from govid.bus.leases import Leases
from govid.bus.metrics import Metrics
from govid.bus.round_health import RoundHealth
from govid.bus.settings import BusSettings
from govid.bus.sql import QUERIES
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_members, is_transient
from govid.bus.storage.transaction import UnitOfWork
from govid.bus.wake import Wake

log = logging.getLogger(__name__)

TRANSIENT_PAUSE_SECONDS = 0.2
FINISH_SECONDS = 3.0
"""How long events in work may take to finish when the process stops."""
STOP_SECONDS = 2.0
"""How long they may take to roll back after that."""


class Dispatcher:
    """Serves one consumer."""

    def __init__(
        self,
        consumer: Consumer,
        settings: BusSettings,
        database: Database,
        uow: UnitOfWork,
        catalogue: Catalogue,
        leases: Leases,
        wake: Wake,
        alone: asyncio.Lock,
        metrics: Metrics | None = None,
        rounds: RoundHealth | None = None,
    ) -> None:
        """Serve *consumer*, in transactions of *uow* on the bus's own pool.

        *alone* is held for an event that may have killed a process; one lock for all dispatchers.
        """
        self._consumer = consumer
        self._settings = settings
        self._database = database
        self._catalogue = catalogue
        self._leases = leases
        self._bell = wake.bell(consumer.name)
        self._alone = alone
        self._backlog = Backlog(consumer.name, settings, database)
        self._metrics = metrics or Metrics()
        self._rounds = rounds or RoundHealth()
        self._failures = Failures(consumer.name, settings, database, leases, self._metrics)
        self._queue: deque[list[Debt]] = deque()
        """Lanes: the events of one key each, in their order."""
        self._keys: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._groups = DeliveryGroups(consumer, uow, leases, self._metrics, self._employ)
        self._lanes = self._groups.capacity if consumer.grouped else settings.keys_at_a_time
        """How many lanes are in work at once."""
        self._working = 0
        self._preparing = asyncio.Semaphore(settings.keys_at_a_time)
        self._room = asyncio.Event()
        """Set when there may be room for another read of the backlog."""

    async def run(self) -> None:
        """Read and hand out until cancelled; events in work may then finish."""
        try:
            while True:
                try:
                    more = await self._fill()
                except Exception:
                    self._rounds.record_failure(self._consumer.name)
                    raise
                if not more:
                    await self._rest()
        except asyncio.CancelledError:
            self._queue.clear()
            await self._finish()
            raise

    async def _fill(self) -> bool:
        """Read one batch and start on it; tell whether there is surely more to read."""
        self._bell.clear()
        owned = self._leases.owned(self._consumer.name)
        if not owned:
            return False
        orphans = self._leases.orphans(self._consumer.name) & owned.keys()
        if orphans:
            await self._take_care_of({bucket: owned[bucket] for bucket in orphans})
        debts = await self._backlog.read(owned, self._keys)
        if not debts and not self._workers:
            self._rounds.record_idle(self._consumer.name)
        lanes: dict[str, list[Debt]] = {}
        for debt in debts:
            lanes.setdefault(debt.key, []).append(debt)
        self._keys.update(lanes)
        self._queue.extend(lanes.values())
        self._start_workers()
        if len(debts) < self._settings.batch_size:
            return False
        # A full batch: work it off before reading on, memory stays flat however long the backlog.
        # As many keys as are in work may wait meanwhile, so that workers find some during the read.
        while len(self._queue) > self._lanes and self._workers:
            self._room.clear()
            await self._room.wait()
        return True

    async def _take_care_of(self, buckets: dict[int, int]) -> None:
        """Set aside what a dead owner may have died of: its work in hand was of the oldest rows."""
        debts = await self._backlog.read_whole(buckets, self._keys)
        if debts:
            self._keys.update(debt.key for debt in debts)
            self._employ(self._work_with_care(debts))

    async def _work_with_care(self, debts: list[Debt]) -> None:
        """Run *debts* one by one, each marked while it runs.

        Whoever takes over from us, if this process dies too, finds the mark and knows which event
        it was that ran alone.
        """
        stuck: set[str] = set()
        try:
            for debt in debts:
                if debt.key in stuck:
                    continue
                async with self._alone:
                    await self._mark(debt, debt.pos)
                    if not await self._settle(debt, alone=True):
                        stuck.add(debt.key)
                    await self._mark(debt, None)
        finally:
            self._keys.difference_update(debt.key for debt in debts)
            self._bell.set()

    async def _mark(self, debt: Debt, pos: int | None) -> None:
        await self._database.bus_reads.execute(
            QUERIES["mark"],
            self._consumer.name,
            debt.bucket,
            self._leases.replica,
            debt.epoch,
            pos,
        )

    async def _rest(self) -> None:
        try:
            # Not `wait_for`: a cancellation that meets the bell would be lost in it (Python 3.11).
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._bell.wait()
        except TimeoutError:
            return

    def _start_workers(self) -> None:
        for _ in range(min(len(self._queue), self._lanes - self._working)):
            self._working += 1
            self._employ(self._work())

    def _employ(self, work: Coroutine[Any, Any, None]) -> None:
        worker = asyncio.create_task(self._guarded(work), name=f"bus {self._consumer.name}")
        self._workers.add(worker)
        worker.add_done_callback(self._dismiss)

    def _dismiss(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._room.set()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Let no worker die unheard: what it left undone is owed still, and is read again."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the dispatcher's edge
            self._rounds.record_failure(self._consumer.name)
            log.warning(
                "delivery.interrupted",
                extra={"subscriber": self._consumer.name, **error_members(error)},
            )
            await asyncio.sleep(TRANSIENT_PAUSE_SECONDS)

    async def _work(self) -> None:
        try:
            while self._queue:
                lane = self._queue.popleft()
                if len(self._queue) <= self._lanes:
                    self._room.set()
                await self._work_off(lane)
        finally:
            self._working -= 1

    async def _work_off(self, lane: list[Debt]) -> None:
        try:
            for debt in lane:
                if not await self._settle(debt):
                    break
        finally:
            self._keys.discard(lane[0].key)
            # What came in for this key meanwhile was left out of the reads.
            self._bell.set()

    async def _settle(self, debt: Debt, *, alone: bool = False) -> bool:
        """Bring one event to its end; tell whether the next of its key may follow."""
        try:
            delivery = self._delivery(debt)
        except UnknownEventType as error:
            await self._park(debt, Failure.of("unknown_type", error))
            return False
        except msgspec.DecodeError as error:
            await self._park(debt, Failure.of("undecodable", error))
            return False
        try:
            async with self._preparing:
                outcome = await self._consumer.handler.prepare(delivery)
            ready = ReadyDelivery(debt, delivery, outcome)
            if alone or not self._consumer.grouped:
                await self._groups.handle_alone(ready)
            else:
                await self._groups.handle(ready)
        except LeaseLost:
            self._leases.forget(self._consumer.name, debt.bucket)
            self._metrics.lease_lost()
            return False
        except Outage as error:
            await self._park(debt, Failure.of("outage", error))
            return False
        except Exception as error:  # noqa: BLE001 - one of the four edges: any handler may fail
            self._rounds.record_failure(self._consumer.name)
            if is_transient(error):
                log.info(
                    "delivery.transient",
                    extra={"subscriber": self._consumer.name, **error_members(error)},
                )
                self._metrics.delivered(self._consumer.name, "transient")
                await asyncio.sleep(TRANSIENT_PAUSE_SECONDS)
                return False
            await self._park(debt, Failure.of("error", error))
            return False
        self._rounds.record_success(self._consumer.name)
        return True

    def _delivery(self, debt: Debt) -> Delivery[Any]:
        kind = self._catalogue.named(debt.type, debt.version)
        headers = msgspec.json.decode(debt.headers, type=Headers)
        return Delivery(
            event=self._catalogue.decode(kind, debt.payload),
            id=debt.event_id,
            type=debt.type,
            key=None if debt.seq is None else debt.key,
            seq=debt.seq,
            occurred_at=debt.occurred_at.astimezone(UTC),
            correlation_id=headers.correlation_id,
            traceparent=headers.traceparent,
        )

    async def _park(self, debt: Debt, failure: Failure) -> None:
        await self._failures.record(
            failure,
            bucket=debt.bucket,
            epoch=debt.epoch,
            key=debt.key,
            event_id=debt.event_id,
            pos=debt.pos,
            ordered=debt.seq is not None,
        )

    async def _finish(self) -> None:
        if not self._workers:
            return
        _, late = await asyncio.wait(tuple(self._workers), timeout=FINISH_SECONDS)
        for worker in late:
            worker.cancel()
        if late:
            await asyncio.wait(late, timeout=STOP_SECONDS)
