"""Whose password is hashed next.

A hash has a processor for itself, so at times many requests wait for one. This is a fair queue on
several levels: wide networks take turns, in each of them the narrower ones, and in each of these
the names. A caller who has fifty requests in it waits for the fifty, and others for few. One
customer may have all networks of an IPv6 /48 or all addresses of an IPv4 /24, so that fairness
between the narrowest networks alone would give that customer nearly every turn.

When the queue is full, a request of those who hold the most of it is refused.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Self

import msgspec

from govid.bus import Cause
from govid.identity.throttle.callers import networks_of

Group = tuple[str, ...]
"""A network, or a name in one: the names of the networks around it, the widest first."""


class NoRoom(Exception):
    """Too many wait, and nobody holds more of the queue than this one."""


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: from where, and in whose name, be there such an account or not.

    *networks* are those around the caller's address, the widest first.
    """

    networks: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, cause: Cause, name: str) -> Self:
        """Return who asks in this *name*, for this *cause*."""
        return cls(networks=networks_of(cause.address), name=name)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Return what the asker belongs to: each network, the widest first, then the name."""
        path = (*self.networks, self.name)
        return tuple(path[: level + 1] for level in range(len(path)))

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Asker>"


class Turns:
    """A number of turns at a time, and the queue of those who wait for one.

    Choosing among the waiters looks at all of them. They are few, and a turn takes some 50 ms.
    """

    def __init__(
        self, at_once: int, most_waiting: int, told: Callable[[int], None] = lambda _: None
    ) -> None:
        """Give *at_once* turns; let *most_waiting* wait. *told* hears how many do."""
        self._free = at_once
        self._most = most_waiting
        self._told = told
        # In the order in which they came.
        self._waiters: dict[asyncio.Future[None], tuple[Group, ...]] = {}
        # Of each group that waits: how many of it do, and its place in the rotation.
        self._held: Counter[Group] = Counter()
        self._places: dict[Group, int] = {}
        self._next_place = count()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    async def take(self, asker: Asker) -> None:
        """Return when it is the turn of *asker*, who calls `end` when it is over.

        Raises:
            NoRoom: the queue is full, and no group holds more of it than those of *asker*; or a
                later one came for whom this one had to go.
        """
        if self._free:
            self._free -= 1
            return
        if len(self._waiters) >= self._most:
            self._make_room(asker.groups)
        turn = asyncio.get_running_loop().create_future()
        self._add(turn, asker.groups)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def end(self) -> None:
        """End a turn: the next one begins."""
        waiting = [turn for turn in self._waiters if not turn.done()]
        if not waiting:
            self._free += 1
            return
        # Level by level the group whose turn is the longest ago; of one name who came first.
        turn = min(waiting, key=lambda one: [self._places[group] for group in self._waiters[one]])
        self._places.update((group, next(self._next_place)) for group in self._waiters[turn])
        self._remove(turn)
        turn.set_result(None)

    def _make_room(self, newcomer: tuple[Group, ...]) -> None:
        """Refuse a waiter of the largest groups, or the *newcomer*, were it one of them.

        Sizes are compared level by level, the widest first, with the newcomer counted. Of equals
        the last to come is refused: those who came earlier have waited longer.
        """

        def size(groups: tuple[Group, ...]) -> list[int]:
            return [self._held[group] + (group in newcomer) for group in groups]

        last = max(reversed(self._waiters), key=lambda turn: size(self._waiters[turn]))
        if size(newcomer) >= size(self._waiters[last]):
            raise NoRoom
        self._remove(last)
        if not last.done():
            last.set_exception(NoRoom())

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Forget *turn*, whose asker waits no longer; one that has just begun is the next one's."""
        if turn in self._waiters:
            self._remove(turn)
        elif not turn.cancelled() and turn.exception() is None:
            self.end()

    def _add(self, turn: asyncio.Future[None], groups: tuple[Group, ...]) -> None:
        self._waiters[turn] = groups
        self._held.update(groups)
        for group in groups:
            # A group that was not there joins the rotation at its end.
            if group not in self._places:
                self._places[group] = next(self._next_place)
        self._told(len(self._waiters))

    def _remove(self, turn: asyncio.Future[None]) -> None:
        for group in self._waiters.pop(turn):
            self._held[group] -= 1
            if not self._held[group]:
                del self._held[group], self._places[group]
        self._told(len(self._waiters))
