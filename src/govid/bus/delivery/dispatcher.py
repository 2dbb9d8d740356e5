"""Delivers events to one subscriber: each key in order, each effect exactly once (I3, I6).

A round fetches the pending deliveries of the buckets that this replica owns, oldest first. Keys are
processed concurrently, the events of a key one after the other. For each event the handler first
prepares, with no transaction open. Then one transaction checks the lease, completes the delivery
and runs the handler's writes. Events of different keys that are ready together share it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from datetime import UTC
from typing import Any

import msgspec

from govid.bus.delivery.backlog import Backlog, PendingDelivery
from govid.bus.delivery.failures import DeliveryFailure, FailureRecorder
from govid.bus.delivery.groups import DeliveryGroups, LeaseLost, ReadyDelivery
from govid.bus.delivery.health import DispatcherHealth
from govid.bus.delivery.leases import QUERIES as LEASE_QUERIES
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.subscriptions import Delivery, Subscriber
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.events.envelope import EventHeaders
from govid.bus.events.registry import EventRegistry, UnknownEventType
from govid.bus.metrics import BusMetrics
from govid.bus.settings import BusSettings
from govid.bus.shared.errors import Outage
from govid.bus.storage.database import Database
from govid.bus.storage.errors import error_members, is_transient
from govid.bus.storage.transaction import UnitOfWork

log = logging.getLogger(__name__)

TRANSIENT_PAUSE_SECONDS = 0.2
DRAIN_SECONDS = 3.0
"""How long deliveries in progress may take to finish when the process stops."""
STOP_SECONDS = 2.0
"""How long they may take to roll back after that."""


class Dispatcher:
    """Delivers events to one subscriber, and stores a receipt for each."""

    def __init__(
        self,
        subscriber: Subscriber,
        settings: BusSettings,
        database: Database,
        uow: UnitOfWork,
        registry: EventRegistry,
        leases: Leases,
        wakeups: WakeupHub,
        isolation_lock: asyncio.Lock,
        metrics: BusMetrics | None = None,
        health: DispatcherHealth | None = None,
    ) -> None:
        """Deliver to *subscriber*, in transactions of *uow* on the bus's own pool.

        *isolation_lock* is held while an event is processed that may have crashed a process. All
        dispatchers share this lock.
        """
        self._subscriber = subscriber
        self._settings = settings
        self._database = database
        self._registry = registry
        self._leases = leases
        self._wakeup = wakeups.event(subscriber.name)
        self._isolation_lock = isolation_lock
        self._backlog = Backlog(subscriber.name, settings, database)
        self._metrics = metrics or BusMetrics()
        self._health = health or DispatcherHealth()
        self._failures = FailureRecorder(subscriber.name, settings, database, leases, self._metrics)
        self._queue: deque[list[PendingDelivery]] = deque()
        """Lanes: each holds the pending deliveries of one key, in their order."""
        self._active_keys: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._groups = DeliveryGroups(subscriber, uow, leases, self._metrics, self._spawn_worker)
        self._max_lanes = (
            self._groups.capacity if subscriber.grouped else settings.max_concurrent_keys
        )
        """How many lanes are processed at the same time."""
        self._lane_workers = 0
        self._prepare_slots = asyncio.Semaphore(settings.max_concurrent_keys)
        self._has_capacity = asyncio.Event()
        """Set when another batch of the backlog may be fetched."""

    async def run(self) -> None:
        """Fetch and process deliveries until cancelled; those in progress may then finish."""
        try:
            while True:
                try:
                    has_more = await self._fetch_batch()
                except Exception:
                    self._health.record_failure(self._subscriber.name)
                    raise
                if not has_more:
                    await self._wait_for_work()
        except asyncio.CancelledError:
            self._queue.clear()
            await self._drain()
            raise

    async def _fetch_batch(self) -> bool:
        """Fetch one batch and start processing it; return whether more is certainly pending."""
        self._wakeup.clear()
        owned = self._leases.owned_epochs(self._subscriber.name)
        if not owned:
            return False
        orphans = self._leases.orphaned_buckets(self._subscriber.name) & owned.keys()
        if orphans:
            await self._isolate_orphans({bucket: owned[bucket] for bucket in orphans})
        due = await self._backlog.fetch_due(owned, self._active_keys)
        if not due and not self._workers:
            self._health.record_idle(self._subscriber.name)
        lanes: dict[str, list[PendingDelivery]] = {}
        for pending in due:
            lanes.setdefault(pending.key, []).append(pending)
        self._active_keys.update(lanes)
        self._queue.extend(lanes.values())
        self._start_workers()
        if len(due) < self._settings.batch_size:
            return False
        # A full batch: process it before the next fetch, so that memory does not grow with the
        # backlog. As many lanes may wait as are in progress: workers find some during the fetch.
        while len(self._queue) > self._max_lanes and self._workers:
            self._has_capacity.clear()
            await self._has_capacity.wait()
        return True

    async def _isolate_orphans(self, buckets: dict[int, int]) -> None:
        """Start to process the deliveries of orphaned *buckets* in isolation.

        One of them may have crashed the previous owner. The deliveries that it was processing are
        among the oldest rows of these buckets.
        """
        due = await self._backlog.fetch_all(buckets, self._active_keys)
        if due:
            self._active_keys.update(pending.key for pending in due)
            self._spawn_worker(self._process_isolated(due))

    async def _process_isolated(self, due: list[PendingDelivery]) -> None:
        """Process deliveries of an orphaned bucket one at a time, in isolation.

        A crash marker is stored before each and removed after it. If this process crashes too, the
        next lease owner can attribute the crash to a single event.
        """
        failed_keys: set[str] = set()
        try:
            for pending in due:
                if pending.key in failed_keys:
                    continue
                async with self._isolation_lock:
                    await self._set_crash_marker(pending, pending.pos)
                    if not await self._process(pending, isolated=True):
                        failed_keys.add(pending.key)
                    await self._set_crash_marker(pending, None)
        finally:
            self._active_keys.difference_update(pending.key for pending in due)
            self._wakeup.set()

    async def _set_crash_marker(self, pending: PendingDelivery, pos: int | None) -> None:
        await self._database.bus_reads.execute(
            LEASE_QUERIES["set_crash_marker"],
            self._subscriber.name,
            pending.bucket,
            self._leases.replica_id,
            pending.epoch,
            pos,
        )

    async def _wait_for_work(self) -> None:
        try:
            # Not `wait_for`: it loses a cancellation that coincides with the wake-up (Python 3.11).
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._wakeup.wait()
        except TimeoutError:
            return

    def _start_workers(self) -> None:
        for _ in range(min(len(self._queue), self._max_lanes - self._lane_workers)):
            self._lane_workers += 1
            self._spawn_worker(self._process_queue())

    def _spawn_worker(self, work: Coroutine[Any, Any, None]) -> None:
        worker = asyncio.create_task(self._supervise(work), name=f"bus {self._subscriber.name}")
        self._workers.add(worker)
        worker.add_done_callback(self._remove_worker)

    def _remove_worker(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._has_capacity.set()

    async def _supervise(self, work: Coroutine[Any, Any, None]) -> None:
        """Log the failure of a worker. Its unfinished deliveries are pending and fetched again."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the dispatcher's edge
            self._health.record_failure(self._subscriber.name)
            log.warning(
                "delivery.interrupted",
                extra={"subscriber": self._subscriber.name, **error_members(error)},
            )
            await asyncio.sleep(TRANSIENT_PAUSE_SECONDS)

    async def _process_queue(self) -> None:
        try:
            while self._queue:
                lane = self._queue.popleft()
                if len(self._queue) <= self._max_lanes:
                    self._has_capacity.set()
                await self._process_lane(lane)
        finally:
            self._lane_workers -= 1

    async def _process_lane(self, lane: list[PendingDelivery]) -> None:
        try:
            for pending in lane:
                if not await self._process(pending):
                    break
        finally:
            self._active_keys.discard(lane[0].key)
            # Deliveries of this key that arrived meanwhile were left out of the fetches.
            self._wakeup.set()

    async def _process(self, pending: PendingDelivery, *, isolated: bool = False) -> bool:
        """Process one delivery; return whether the next one of its key may follow."""
        try:
            delivery = self._decode(pending)
        except UnknownEventType as error:
            await self._park(pending, DeliveryFailure.from_error("unknown_type", error))
            return False
        except msgspec.DecodeError as error:
            await self._park(pending, DeliveryFailure.from_error("undecodable", error))
            return False
        try:
            async with self._prepare_slots:
                outcome = await self._subscriber.handler.prepare(delivery)
            ready = ReadyDelivery(pending, delivery, outcome)
            if isolated or not self._subscriber.grouped:
                await self._groups.handle_isolated(ready)
            else:
                await self._groups.handle_grouped(ready)
        except LeaseLost:
            self._leases.drop(self._subscriber.name, pending.bucket)
            self._metrics.count_lease_lost()
            return False
        except Outage as error:
            await self._park(pending, DeliveryFailure.from_error("outage", error))
            return False
        except Exception as error:  # noqa: BLE001 - one of the four edges: any handler may fail
            self._health.record_failure(self._subscriber.name)
            if is_transient(error):
                log.info(
                    "delivery.transient",
                    extra={"subscriber": self._subscriber.name, **error_members(error)},
                )
                self._metrics.count_failed_delivery(self._subscriber.name, "transient")
                await asyncio.sleep(TRANSIENT_PAUSE_SECONDS)
                return False
            await self._park(pending, DeliveryFailure.from_error("error", error))
            return False
        self._health.record_success(self._subscriber.name)
        return True

    def _decode(self, pending: PendingDelivery) -> Delivery[Any]:
        event_type = self._registry.get_type(pending.type, pending.version)
        headers = msgspec.json.decode(pending.headers, type=EventHeaders)
        return Delivery(
            event=self._registry.decode(event_type, pending.payload),
            id=pending.event_id,
            type=pending.type,
            key=None if pending.seq is None else pending.key,
            seq=pending.seq,
            occurred_at=pending.occurred_at.astimezone(UTC),
            correlation_id=headers.correlation_id,
            traceparent=headers.traceparent,
        )

    async def _park(self, pending: PendingDelivery, failure: DeliveryFailure) -> None:
        await self._failures.park_or_dead_letter(
            failure,
            bucket=pending.bucket,
            epoch=pending.epoch,
            key=pending.key,
            event_id=pending.event_id,
            pos=pending.pos,
            ordered=pending.seq is not None,
        )

    async def _drain(self) -> None:
        if not self._workers:
            return
        _, late = await asyncio.wait(tuple(self._workers), timeout=DRAIN_SECONDS)
        for worker in late:
            worker.cancel()
        if late:
            await asyncio.wait(late, timeout=STOP_SECONDS)
