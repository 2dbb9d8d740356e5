"""Where a read of the backlog may begin, so that a long one does not make every read dear.

Once every poll interval a read looks at everything, and more rarely where that takes long. The
reads between begin above a floor, below which that one found nothing but parked keys and keys in
work: else the hundred thousand events behind a parked key would be passed over again and again.

Such a read must not hand out the middle of a key (I3). So keys that owe something below the floor
are left out of it, whatever becomes of them meanwhile; the floor stays below the place of every
transaction that has not ended; and after an operator's act, which may owe old events again, or when
a bucket was gained, everything is looked at first.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from govid.bus.settings import BusSettings
from govid.bus.sql import QUERIES

if TYPE_CHECKING:
    # Commands are built on this without SQLAlchemy (I13).
    from govid.bus.storage.database import Database

MARGIN = 250
"""How far below the first row that could be handled a read still begins: what is in work owes
something there, and need not be left out. A little more than one read hands out; each further row
would be passed over by every read, which is what others notice of a parked key (10,000: 2 ms).
"""
HIDDEN = 1_000
"""How many keys may be left out; where more are stuck, every read looks at everything."""
WHOLE_SHARE = 50
"""How many times as long as a look at everything took the next one waits: it is 2 % of the time at
most, however many events stand behind parked keys. A key whose pause has ended waits for it.
"""


Fetch = Callable[[int, Collection[str]], Awaitable[Sequence[Any]]]
"""Reads above a position, without the rows of some keys; each row has a `pos` and the `acts`."""


class Mark(NamedTuple):
    """A position, and a transaction younger than all those that had drawn one up to it."""

    position: int
    transaction: int


class Floor:
    """The floor of one subscriber's reads, in positions of events."""

    def __init__(self, subscriber: str, settings: BusSettings, database: "Database") -> None:
        """Look at everything once a poll interval, or more rarely where that takes long."""
        self.position = 0
        """A read begins above it; at 0 it looks at everything."""
        self.hidden: Collection[str] = ()
        """The keys that it has to leave out then."""
        self._subscriber = subscriber
        self._interval = settings.poll_seconds
        self._database = database
        self._whole_at = float("-inf")
        self._whole_seconds = 0.0
        self._buckets: frozenset[int] = frozenset()
        self._acts = 0
        self._highest = 0
        self._settled = 0
        """No transaction that is under way can store anything up to here."""
        self._cleared = 0
        """Nothing is owed up to here, and only an operator can change that."""
        self._mark: Mark | None = None

    async def read(
        self, buckets: Collection[int], fetch: Fetch, under_way: Collection[int] = ()
    ) -> Sequence[Any]:
        """Return what *fetch* finds of *buckets* above the floor, or at all if that is due.

        *under_way* are positions that *fetch* leaves out because they will soon be owed no more:
        the floor stays below them, so that their keys need not be left out.
        """
        rest = max(self._interval, WHOLE_SHARE * self._whole_seconds)
        if monotonic() - self._whole_at < rest and self._buckets.issuperset(buckets):
            due = await fetch(self.position, self.hidden)
            if not due or due[0]["acts"] == self._acts:
                return due
        return await self.read_whole(buckets, fetch, under_way)

    async def read_whole(
        self, buckets: Collection[int], fetch: Fetch, under_way: Collection[int] = ()
    ) -> Sequence[Any]:
        """Return what *fetch* finds of *buckets*, and put the floor below the first of it."""
        self.position, self.hidden = 0, ()
        if not self._buckets.issuperset(buckets):
            self._cleared = 0
        self._whole_at, self._buckets = monotonic(), frozenset(buckets)
        await self._look_around()
        due = await fetch(0, ())
        first = due[0]["pos"] if due else self._highest
        await self._settle(min(first, *under_way) if under_way else first)
        self._whole_seconds = monotonic() - self._whole_at
        return due

    async def _look_around(self) -> None:
        row = await self._database.bus_reads.fetchrow(QUERIES["horizon"])
        if row["acts"] != self._acts:
            self._cleared = 0
        self._highest, self._acts = row["highest"], row["acts"]
        if self._mark is not None and row["oldest"] >= self._mark.transaction:
            self._settled, self._mark = self._mark.position, None
        if self._mark is None and self._highest > self._settled + MARGIN:
            # Drawn after that position was seen: whoever had one up to it has an older transaction.
            transaction = await self._database.bus_reads.fetchval(QUERIES["mark_time"])
            self._mark = Mark(self._highest, transaction)

    async def _settle(self, lowest: int) -> None:
        position = min(lowest - MARGIN, self._settled)
        if position <= 0:
            return
        rows = await self._database.bus_reads.fetch(
            QUERIES["hidden"],
            self._subscriber,
            list(self._buckets),
            self._cleared,
            position,
            HIDDEN + 1,
        )
        if not rows:
            self._cleared = max(self._cleared, position)
        if len(rows) <= HIDDEN:
            self.position, self.hidden = position, [row["key"] for row in rows]
