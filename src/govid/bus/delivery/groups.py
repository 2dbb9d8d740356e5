"""Group commit: handles prepared deliveries of one subscriber in shared transactions (ADR-0002).

A COMMIT, a fence and a receipt cost the same for one delivery as for sixteen. So deliveries of
different keys that are ready at the same moment share a transaction; no delivery waits for another
to become ready. If one delivery of a group fails, the whole group is rolled back and its members
are handled one by one in their order. Only a member that fails in isolation counts as failed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

from govid.bus.delivery.backlog import PendingDelivery
from govid.bus.delivery.leases import Leases
from govid.bus.delivery.subscriptions import Delivery, Subscriber
from govid.bus.metrics import BusMetrics
from govid.bus.storage.errors import error_class_name
from govid.bus.storage.sql import load_statements
from govid.bus.storage.transaction import UnitOfWork

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.delivery", "groups.sql")

GROUP_SIZE = 16
"""How many deliveries share a transaction at most. Larger groups gain little (the handlers' own
statements dominate by then) and hold their row locks longer."""
MAX_OPEN_GROUPS = 4
"""The maximum of open transactions of one subscriber: half of the shared connection pool."""
MAX_SUSPECT_KEYS = 1_000
"""How many failed keys are kept at most."""


class LeaseLost(Exception):
    """Another replica owns the lease of the bucket now."""


class ReadyDelivery:
    """A pending delivery whose handler has prepared, and the outcome of that preparation."""

    __slots__ = ("delivery", "outcome", "pending")

    def __init__(self, pending: PendingDelivery, delivery: Delivery[Any], outcome: Any) -> None:
        """Hold all that the completing transaction needs."""
        self.pending = pending
        self.delivery = delivery
        self.outcome = outcome


GroupMember = tuple[ReadyDelivery, "asyncio.Future[None]"]


class DeliveryGroups:
    """Handles the ready deliveries of one subscriber; at most one of each key is ready."""

    def __init__(
        self,
        subscriber: Subscriber,
        uow: UnitOfWork,
        leases: Leases,
        metrics: BusMetrics,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Handle by *subscriber* in transactions of *uow*; *spawn* runs a coroutine as a task."""
        self._subscriber = subscriber
        self._uow = uow
        self._leases = leases
        self._metrics = metrics
        self._spawn = spawn
        self._waiting: deque[GroupMember] = deque()
        self._running = 0
        self._is_starting = False
        self._suspect_keys: set[str] = set()
        """Keys that failed in isolation. They are handled in isolation until they succeed."""

    @property
    def capacity(self) -> int:
        """How many deliveries can be in open transactions at the same time."""
        return GROUP_SIZE * MAX_OPEN_GROUPS

    async def handle_grouped(self, ready: ReadyDelivery) -> None:
        """Handle *ready* in one transaction with all other ready deliveries.

        Raises:
            LeaseLost: another replica owns the bucket.
            Exception: the handler's error, when the delivery was handled in isolation.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((ready, done))
        self._start_next()
        await done

    async def handle_isolated(self, ready: ReadyDelivery) -> None:
        """Handle *ready* in a transaction of its own.

        Raises:
            LeaseLost: another replica owns the bucket.
        """
        name, pending = self._subscriber.name, ready.pending
        async with self._uow.begin(ready.delivery.operation_context(name)) as tx:
            row = await tx.driver.fetchrow(
                QUERIES["complete_delivery"],
                name,
                pending.bucket,
                self._leases.replica_id,
                pending.epoch,
                pending.event_id,
                pending.pos,
                pending.key,
            )
            if not row["fenced"]:
                raise LeaseLost
            if row["fresh"]:
                await self._subscriber.handler.apply(tx, ready.delivery, ready.outcome)
        self._metrics.count_handled(name, pending.occurred_at, fresh=bool(row["fresh"]))

    def _start_next(self) -> None:
        # One at a time: by the time the task runs, all deliveries that became ready in this
        # iteration of the event loop are in the queue.
        if self._waiting and not self._is_starting and self._running < MAX_OPEN_GROUPS:
            self._is_starting = True
            self._spawn(self._run())

    async def _run(self) -> None:
        self._is_starting = False
        self._running += 1
        try:
            while group := self._next_group():
                self._start_next()
                await self._handle_group(group)
        finally:
            self._running -= 1
            self._start_next()

    def _next_group(self) -> Sequence[GroupMember]:
        """Return the oldest waiting deliveries; a key that has failed before is returned alone."""
        waiting = self._waiting
        count = 0
        for ready, _ in islice(waiting, GROUP_SIZE):
            if ready.pending.key in self._suspect_keys:
                count = count or 1
                break
            count += 1
        return [waiting.popleft() for _ in range(count)]

    async def _handle_group(self, group: Sequence[GroupMember]) -> None:
        try:
            if len(group) == 1 or not await self._handle_together(group):
                for member in group:
                    await self._handle_member(member)
        finally:
            for _, done in group:
                if not done.done():
                    done.cancel()

    async def _handle_together(self, group: Sequence[GroupMember]) -> bool:
        """Handle *group* in one transaction; return whether it has committed."""
        name = self._subscriber.name
        # By account: two subscribers that write about the same accounts then lock their rows in
        # the same order.
        ordered = sorted((ready for ready, _ in group), key=_account_from_key)
        try:
            fresh = await self._commit(ordered)
        except Exception as error:  # noqa: BLE001 - handling one by one finds the failing member
            self._metrics.count_group(name, "split")
            log.info(
                "delivery.group_split",
                extra={
                    "subscriber": name,
                    "records": len(group),
                    "error_class": error_class_name(error),
                },
            )
            return False
        self._metrics.count_group(name, "committed")
        for ready, done in group:
            pending = ready.pending
            self._metrics.count_handled(name, pending.occurred_at, fresh=pending.event_id in fresh)
            _resolve(done, None)
        return True

    async def _commit(self, group: Sequence[ReadyDelivery]) -> set[Any]:
        """Handle *group*; return the ids of the events that had not been handled before."""
        name = self._subscriber.name
        due = [ready.pending for ready in group]
        async with self._uow.begin_group(
            [r.delivery.operation_context(name) for r in group]
        ) as transactions:
            row = await transactions[0].driver.fetchrow(
                QUERIES["complete_group"],
                name,
                self._leases.replica_id,
                [pending.bucket for pending in due],
                [pending.epoch for pending in due],
                [pending.event_id for pending in due],
                [pending.pos for pending in due],
                [pending.key for pending in due],
            )
            if not row["fenced"]:
                raise LeaseLost
            fresh = set(row["fresh"])
            for tx, ready in zip(transactions, group, strict=True):
                if ready.pending.event_id in fresh:
                    await self._subscriber.handler.apply(tx, ready.delivery, ready.outcome)
        return fresh

    async def _handle_member(self, member: GroupMember) -> None:
        ready, done = member
        key = ready.pending.key
        try:
            await self.handle_isolated(ready)
        except Exception as error:  # noqa: BLE001 - the dispatcher classifies it
            if len(self._suspect_keys) >= MAX_SUSPECT_KEYS:
                self._suspect_keys.clear()
            self._suspect_keys.add(key)
            _resolve(done, error)
        else:
            self._suspect_keys.discard(key)
            _resolve(done, None)


def _account_from_key(ready: ReadyDelivery) -> str:
    return ready.pending.key.rpartition("/")[2]


def _resolve(done: "asyncio.Future[None]", error: Exception | None) -> None:
    # The waiting worker may have been cancelled meanwhile.
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
