"""Handles prepared deliveries of one subscriber, several of them in one transaction (ADR-0002).

A COMMIT, a fence and a receipt cost the same for one delivery as for sixteen. So deliveries of
different keys that are ready at the same moment share a transaction; none waits for another to
become ready. When anything in a group fails, all of it is rolled back, and its members run one by
one in their order: only the member that fails alone has failed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

from govid.bus.backlog import Debt
from govid.bus.consumers import Consumer, Delivery
from govid.bus.leases import Leases
from govid.bus.metrics import Metrics
from govid.bus.sql import QUERIES
from govid.bus.storage.errors import error_class
from govid.bus.storage.transaction import UnitOfWork

log = logging.getLogger(__name__)

GROUP_SIZE = 16
"""How many deliveries share a transaction at most. Larger groups gain little (the handlers' own
statements dominate by then) and hold their row locks longer."""
GROUPS_AT_ONCE = 4
"""How many transactions of one subscriber are open at once: half of the pool that all share."""
SUSPECTS = 1_000
"""How many failed keys are remembered at most."""


class LeaseLost(Exception):
    """The bucket belongs to another replica now."""


class ReadyDelivery:
    """A delivery whose handler has prepared, and what its preparation found out."""

    __slots__ = ("debt", "delivery", "outcome")

    def __init__(self, debt: Debt, delivery: Delivery[Any], outcome: Any) -> None:
        """Hold what a transaction needs to handle the delivery."""
        self.debt = debt
        self.delivery = delivery
        self.outcome = outcome


Member = tuple[ReadyDelivery, "asyncio.Future[None]"]


class DeliveryGroups:
    """Handles the ready deliveries of one subscriber; those of a key come one at a time."""

    def __init__(
        self,
        consumer: Consumer,
        uow: UnitOfWork,
        leases: Leases,
        metrics: Metrics,
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Handle by *consumer* in transactions of *uow*; *start* runs a coroutine as a task."""
        self._consumer = consumer
        self._uow = uow
        self._leases = leases
        self._metrics = metrics
        self._start = start
        self._waiting: deque[Member] = deque()
        self._running = 0
        self._is_starting = False
        self._suspects: set[str] = set()
        """Keys that failed when they ran alone; they spoil no group until they have succeeded."""

    @property
    def capacity(self) -> int:
        """How many deliveries can be in open transactions at the same time."""
        return GROUP_SIZE * GROUPS_AT_ONCE

    async def handle(self, ready: ReadyDelivery) -> None:
        """Handle *ready* in one transaction with whatever else is ready.

        Raises:
            LeaseLost: the bucket is another replica's.
            Exception: what the handler raised when the delivery ran alone.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((ready, done))
        self._start_next()
        await done

    async def handle_alone(self, ready: ReadyDelivery) -> None:
        """Handle *ready* in a transaction of its own.

        Raises:
            LeaseLost: the bucket is another replica's.
        """
        name, debt = self._consumer.name, ready.debt
        async with self._uow.begin(ready.delivery.cause(name)) as tx:
            row = await tx.driver.fetchrow(
                QUERIES["take"],
                name,
                debt.bucket,
                self._leases.replica,
                debt.epoch,
                debt.event_id,
                debt.pos,
                debt.key,
            )
            if not row["fenced"]:
                raise LeaseLost
            if row["fresh"]:
                await self._consumer.handler.apply(tx, ready.delivery, ready.outcome)
        self._metrics.handled(name, debt.occurred_at, fresh=bool(row["fresh"]))

    def _start_next(self) -> None:
        # One at a time: by the time it runs, all that became ready in this turn of the event loop
        # stands in the queue.
        if self._waiting and not self._is_starting and self._running < GROUPS_AT_ONCE:
            self._is_starting = True
            self._start(self._run())

    async def _run(self) -> None:
        self._is_starting = False
        self._running += 1
        try:
            while members := self._next_members():
                self._start_next()
                await self._handle_all(members)
        finally:
            self._running -= 1
            self._start_next()

    def _next_members(self) -> Sequence[Member]:
        """Take the oldest that wait; a key that has failed before comes alone."""
        waiting = self._waiting
        count = 0
        for ready, _ in islice(waiting, GROUP_SIZE):
            if ready.debt.key in self._suspects:
                count = count or 1
                break
            count += 1
        return [waiting.popleft() for _ in range(count)]

    async def _handle_all(self, members: Sequence[Member]) -> None:
        try:
            if len(members) == 1 or not await self._handle_together(members):
                for member in members:
                    await self._handle_member(member)
        finally:
            for _, done in members:
                if not done.done():
                    done.cancel()

    async def _handle_together(self, members: Sequence[Member]) -> bool:
        """Handle *members* in one transaction; tell whether it has committed."""
        name = self._consumer.name
        # By account: two subscribers that write about the same accounts then lock their rows in
        # the same order.
        ordered = sorted((ready for ready, _ in members), key=_account)
        try:
            fresh = await self._commit(ordered)
        except Exception as error:  # noqa: BLE001 - what has failed is found by running one by one
            self._metrics.group_ended(name, "split")
            log.info(
                "delivery.group_split",
                extra={
                    "subscriber": name,
                    "records": len(members),
                    "error_class": error_class(error),
                },
            )
            return False
        self._metrics.group_ended(name, "committed")
        for ready, done in members:
            self._metrics.handled(name, ready.debt.occurred_at, fresh=ready.debt.event_id in fresh)
            _tell(done, None)
        return True

    async def _commit(self, group: Sequence[ReadyDelivery]) -> set[Any]:
        """Handle *group* and return the ids of the events that had not been handled before."""
        name = self._consumer.name
        debts = [ready.debt for ready in group]
        async with self._uow.begin_group([r.delivery.cause(name) for r in group]) as transactions:
            row = await transactions[0].driver.fetchrow(
                QUERIES["take_group"],
                name,
                self._leases.replica,
                [debt.bucket for debt in debts],
                [debt.epoch for debt in debts],
                [debt.event_id for debt in debts],
                [debt.pos for debt in debts],
                [debt.key for debt in debts],
            )
            if not row["fenced"]:
                raise LeaseLost
            fresh = set(row["fresh"])
            for tx, ready in zip(transactions, group, strict=True):
                if ready.debt.event_id in fresh:
                    await self._consumer.handler.apply(tx, ready.delivery, ready.outcome)
        return fresh

    async def _handle_member(self, member: Member) -> None:
        ready, done = member
        key = ready.debt.key
        try:
            await self.handle_alone(ready)
        except Exception as error:  # noqa: BLE001 - the dispatcher judges it
            if len(self._suspects) >= SUSPECTS:
                self._suspects.clear()
            self._suspects.add(key)
            _tell(done, error)
        else:
            self._suspects.discard(key)
            _tell(done, None)


def _account(ready: ReadyDelivery) -> str:
    return ready.debt.key.rpartition("/")[2]


def _tell(done: "asyncio.Future[None]", error: Exception | None) -> None:
    # The worker that waited may have been cancelled meanwhile.
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
