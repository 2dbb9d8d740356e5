"""Orders waiting password hashes in a fair queue, by client network and then by account name.

One hash occupies one CPU, so requests wait. Slots are assigned round-robin on several levels: over
the widest client networks, within each over the narrower ones, and within these over account
names. A client with fifty requests delays its own requests only. The wide networks are needed
because one customer may hold all networks of an IPv6 /48 or all addresses of an IPv4 /24.

When the queue is full, the newest request of the group with the most waiting requests is rejected.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Self

from govid.bus import OperationContext
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.rate_limits.client_networks import client_networks

RequesterGroup = tuple[str, ...]
"""A network or a name in one, as the path of networks that contain it, the widest first."""


class HashQueueFull(Exception):
    """The queue is full, and this request belongs to a group with the most waiting requests."""


class HashRequester(RedactedStruct, frozen=True, kw_only=True):
    """The requester of a hash: client networks, the widest first, and an account name.

    The name is used whether or not the account exists.
    """

    networks: tuple[str, ...]
    name: str

    @classmethod
    def from_context(cls, context: OperationContext, name: str) -> Self:
        """Return the requester for an account *name* and the address of an operation context."""
        return cls(networks=client_networks(context.client_address), name=name)

    @property
    def groups(self) -> tuple[RequesterGroup, ...]:
        """The groups of the requester: each network, the widest first, then the name."""
        path = (*self.networks, self.name)
        return tuple(path[: level + 1] for level in range(len(path)))


class FairHashQueue:
    """A fixed number of hash slots and the fair queue of requests that wait for one.

    The next request is chosen by a scan of all waiting ones. They are few, and a hash takes about
    50 ms.
    """

    def __init__(
        self,
        slots: int,
        max_waiting: int,
        on_waiting_changed: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Offer *slots* and let *max_waiting* requests wait.

        *on_waiting_changed* is called with the number of waiting requests after each change.
        """
        self._free = slots
        self._max_waiting = max_waiting
        self._on_waiting_changed = on_waiting_changed
        # In order of arrival.
        self._waiters: dict[asyncio.Future[None], tuple[RequesterGroup, ...]] = {}
        # For each group with waiting requests: their number, and its position in the rotation.
        self._sizes: Counter[RequesterGroup] = Counter()
        self._positions: dict[RequesterGroup, int] = {}
        self._next_position = count()

    @property
    def waiting(self) -> int:
        """The number of waiting requests."""
        return len(self._waiters)

    async def acquire(self, requester: HashRequester) -> None:
        """Wait until *requester* has a slot; the caller gives it back by `release`.

        Raises:
            HashQueueFull: the queue is full, and no group has more waiting requests than those of
                *requester*; or a later request has displaced this one.
        """
        if self._free:
            self._free -= 1
            return
        if len(self._waiters) >= self._max_waiting:
            self._reject_one(requester.groups)
        slot = asyncio.get_running_loop().create_future()
        self._enqueue(slot, requester.groups)
        try:
            await slot
        except asyncio.CancelledError:
            self._abandon(slot)
            raise

    def release(self) -> None:
        """Give a slot back; the next waiting request gets it."""
        waiting = [slot for slot in self._waiters if not slot.done()]
        if not waiting:
            self._free += 1
            return
        # On each level the group that was served the longest ago; within a name the oldest request.
        slot = min(
            waiting, key=lambda slot: [self._positions[group] for group in self._waiters[slot]]
        )
        self._positions.update((group, next(self._next_position)) for group in self._waiters[slot])
        self._dequeue(slot)
        slot.set_result(None)

    def _reject_one(self, newcomer: tuple[RequesterGroup, ...]) -> None:
        """Reject a request of the largest groups, or the *newcomer* if it belongs to them.

        Sizes are compared level by level, the widest first, with the newcomer counted. Among
        equals the newest is rejected, because the others have waited longer.
        """

        def size(groups: tuple[RequesterGroup, ...]) -> list[int]:
            return [self._sizes[group] + (group in newcomer) for group in groups]

        last = max(reversed(self._waiters), key=lambda slot: size(self._waiters[slot]))
        if size(newcomer) >= size(self._waiters[last]):
            raise HashQueueFull
        self._dequeue(last)
        if not last.done():
            last.set_exception(HashQueueFull())

    def _abandon(self, slot: asyncio.Future[None]) -> None:
        """Remove a cancelled request; if it was just given its slot, pass the slot on."""
        if slot in self._waiters:
            self._dequeue(slot)
        elif not slot.cancelled() and slot.exception() is None:
            self.release()

    def _enqueue(self, slot: asyncio.Future[None], groups: tuple[RequesterGroup, ...]) -> None:
        self._waiters[slot] = groups
        self._sizes.update(groups)
        for group in groups:
            # A new group joins the rotation at its end.
            if group not in self._positions:
                self._positions[group] = next(self._next_position)
        self._on_waiting_changed(len(self._waiters))

    def _dequeue(self, slot: asyncio.Future[None]) -> None:
        for group in self._waiters.pop(slot):
            self._sizes[group] -= 1
            if not self._sizes[group]:
                del self._sizes[group], self._positions[group]
        self._on_waiting_changed(len(self._waiters))
