"""Whose password is hashed next.

A hash has a processor for itself, so at times many wait for one. They take turns: network after
network, and within a network name after name. Whoever asks for fifty waits for the fifty, and
anybody else for few. When too many wait, those go who ask for the most, and of them the last.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

import msgspec

from govid.bus import Cause
from govid.identity.throttle.callers import network_of


class NoRoom(Exception):
    """Too many wait, and nobody asks for more than this one."""


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: from where, and in whose name, be there such an account or not."""

    network: str
    name: str

    @classmethod
    def of(cls, cause: Cause, name: str) -> Self:
        """Return who asks in this *name*, for this *cause*."""
        return cls(network=network_of(cause.address), name=name)

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Asker>"


class Turns:
    """A number of turns at a time, and the lines of those who wait for one."""

    def __init__(
        self, at_once: int, most_waiting: int, told: Callable[[int], None] = lambda _: None
    ) -> None:
        """Give *at_once* turns; let *most_waiting* wait. *told* hears how many do."""
        self._free = at_once
        self._most = most_waiting
        self._told = told
        self._waiting = 0
        # Both in the order in which they are served: who has had a turn goes to the end.
        self._lines: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    async def take(self, asker: Asker) -> None:
        """Return when it is the turn of *asker*, who calls `end` when it is over.

        Raises:
            NoRoom: too many wait already, or came after this one and ask for less.
        """
        if self._free:
            self._free -= 1
            return
        if self._waiting >= self._most:
            self._make_room(asker)
        turn = asyncio.get_running_loop().create_future()
        names = self._lines.setdefault(asker.network, {})
        names.setdefault(asker.name, deque()).append(turn)
        self._wait(1)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(asker, turn)
            raise
        finally:
            self._wait(-1)

    def end(self) -> None:
        """End a turn: the next one begins."""
        while self._lines:
            turn = self._next()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _next(self) -> "asyncio.Future[None]":
        network, names = next(iter(self._lines.items()))
        name, line = next(iter(names.items()))
        del self._lines[network], names[name]
        turn = line.popleft()
        if line:
            names[name] = line
        if names:
            self._lines[network] = names
        return turn

    def _make_room(self, asker: Asker) -> None:
        """Send the last one away of those who ask for the most, were *asker* one of them."""
        networks = {
            network: sum(map(len, names.values())) for network, names in self._lines.items()
        }
        network = _greediest(networks, asker.network)
        names = {name: len(line) for name, line in self._lines.get(network, {}).items()}
        name = _greediest(names, asker.name if network == asker.network else None)
        if (network, name) == (asker.network, asker.name):
            raise NoRoom
        last = self._lines[network][name][-1]
        self._drop(Asker(network=network, name=name), last)
        if not last.done():
            last.set_exception(NoRoom())

    def _leave(self, asker: Asker, turn: "asyncio.Future[None]") -> None:
        """Forget *turn*, whose asker waits no longer; one that has just begun is the next one's."""
        if not turn.done() or turn.cancelled():
            self._drop(asker, turn)
        elif turn.exception() is None:
            self.end()

    def _drop(self, asker: Asker, turn: "asyncio.Future[None]") -> None:
        names = self._lines.get(asker.network, {})
        line = names.get(asker.name, deque())
        if turn in line:
            line.remove(turn)
        if not line:
            names.pop(asker.name, None)
        if not names:
            self._lines.pop(asker.network, None)

    def _wait(self, change: int) -> None:
        self._waiting += change
        self._told(self._waiting)


def _greediest(counts: dict[str, int], newcomer: str | None) -> str:
    """Return who asks for the most, with one more for the *newcomer*, who loses a tie."""
    if newcomer is not None:
        counts[newcomer] = counts.get(newcomer, 0) + 1
    return max(counts, key=lambda one: (counts[one], one == newcomer))
