"""What waits for a person: parked keys and dead events; and what the person can do about them.

An act works on a list that was chosen before, and looks at each again under its row's lock. So it
touches what was counted and confirmed, once, even if the same key is parked again meanwhile.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from govid.bus.acts import Act, Acts, Pace, Progress, Touched
from govid.bus.selection import CONDITIONS, Selection
from govid.bus.sql import read

_TEXTS = read("govid.bus", "stuck.sql")
QUERIES = {
    name: text.format(stuck=_TEXTS["stuck"], conditions=CONDITIONS) for name, text in _TEXTS.items()
}

State = Literal["waiting", "parked", "dead"]
FOR_GOOD: Collection[State] = ("parked", "dead")
"""What nobody will try again unless a person says so."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Failures of one cause: as many keys (or dead events) as `count` says."""

    subscriber: str
    state: State
    reason: str
    error_class: str
    fingerprint: str
    count: int
    first_failed: datetime
    last_failed: datetime
    example_id: UUID


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """An event that its subscriber cannot handle; behind it, if it has a key, the key waits."""

    subscriber: str
    event_id: UUID
    state: State


class StuckDeliveries:
    """The deliveries that are stuck, through one asyncpg connection."""

    def __init__(self, connection: Any) -> None:
        """Read and write through *connection*."""
        self._connection = connection

    async def groups(self, selection: Selection, fingerprint: str | None = None) -> list[Group]:
        """Return what is stuck, by cause; what a person has to decide about comes first."""
        rows = await self._connection.fetch(QUERIES["groups"], *selection.parameters(), fingerprint)
        return [Group(**row) for row in rows]

    async def choose(
        self,
        selection: Selection,
        fingerprint: str | None = None,
        states: Collection[State] = FOR_GOOD,
    ) -> list[Stuck]:
        """Return what *selection* means of the stuck, with one *fingerprint* if it is given."""
        rows = await self._connection.fetch(
            QUERIES["choose"], *selection.parameters(), fingerprint, list(states)
        )
        return [Stuck(**row) for row in rows]

    def retry(
        self, chosen: Sequence[Stuck], acts: Acts, act: Act, rate: float | None = None
    ) -> AsyncIterator[Progress]:
        """Let *chosen* begin again: keys with all their attempts, the dead as deliveries."""
        return self._perform(chosen, "retry_parked", "retry_dead", acts, act, rate)

    def unpark(
        self, chosen: Sequence[Stuck], acts: Acts, act: Act, rate: float | None = None
    ) -> AsyncIterator[Progress]:
        """Let the keys of *chosen* go on, with the attempts that they have left, at least one."""
        return self._perform(chosen, "unpark", None, acts, act, rate)

    def discard(
        self, chosen: Sequence[Stuck], acts: Acts, act: Act, rate: float | None = None
    ) -> AsyncIterator[Progress]:
        """Settle *chosen* unhandled, for good; the keys behind them go on."""
        return self._perform(chosen, "discard_parked", "discard_dead", acts, act, rate)

    async def _perform(
        self,
        chosen: Sequence[Stuck],
        on_keys: str,
        on_dead: str | None,
        acts: Acts,
        act: Act,
        rate: float | None,
    ) -> AsyncIterator[Progress]:
        pace, done = Pace(rate), 0
        for batch in _batches(chosen, pace.size):

            async def work(batch: Sequence[Stuck] = batch) -> list[Touched]:
                keys = [one for one in batch if one.state != "dead"]
                dead = [one for one in batch if one.state == "dead"]
                touched = await self._run(on_keys, keys)
                return touched + (await self._run(on_dead, dead) if on_dead else [])

            touched = await acts.commit(act, work)
            done += touched
            yield Progress(done=done, total=len(chosen))
            await pace.keep(touched)

    async def _run(self, name: str, batch: Sequence[Stuck]) -> list[Touched]:
        if not batch:
            return []
        rows = await self._connection.fetch(
            QUERIES[name], [one.subscriber for one in batch], [one.event_id for one in batch]
        )
        return [(row["subscriber"], row["event_id"]) for row in rows]


def _batches(chosen: Sequence[Stuck], size: int) -> list[Sequence[Stuck]]:
    return [chosen[start : start + size] for start in range(0, len(chosen), size)]
