"""Fetches pending deliveries of one subscriber, oldest first, above a scan watermark.

The cost of a fetch does not grow with the length of the backlog. A full scan runs once every poll
interval, or less often if it takes long. Fetches between two full scans begin above the watermark.
Below it the last full scan found only rows of parked keys and of keys that were being processed.
Without a watermark every fetch would skip the hundred thousand events behind a parked key again.

Such a fetch must not return the middle of a key (I3). So keys with pending deliveries below the
watermark are skipped, whatever happens to those meanwhile. The watermark stays below the position
of every open transaction. A full scan comes first after an operator action, which may make old
events pending again, and after a bucket was acquired.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus.settings import BusSettings
from govid.bus.storage.sql import load_statements

if TYPE_CHECKING:
    from govid.bus.storage.database import Database


QUERIES = load_statements("govid.bus.delivery", "backlog.sql")
LOOKBEHIND_ROWS = 250
"""How many rows below the first row that can be handled a fetch still begins. Keys that are being
processed have rows there and need not be skipped. The value is a little more than one fetch
returns; each further row costs every fetch time, also for other keys (10,000 rows: 2 ms).
"""
MAX_SKIPPED_KEYS = 1_000
"""How many keys may be skipped. If more are parked, every fetch is a full scan."""
FULL_SCAN_SHARE = 50
"""How long the next full scan waits, as a multiple of the duration of the last one. So full scans
take 2 % of the time at most, however many events wait behind parked keys. A key whose pause has
ended waits for the next full scan.
"""


FetchRows = Callable[[int, Collection[str]], Awaitable[Sequence[Any]]]
"""Fetches the rows above a position, without those of some keys.

Each row has its `pos`, and as `action_count` the number of operator actions.
"""


class WatermarkPoint(NamedTuple):
    """A position, and the id of a transaction that is newer than all with a position up to it."""

    position: int
    transaction: int


class ScanWatermark:
    """The scan watermark of one subscriber's backlog, as a position of events."""

    def __init__(self, subscriber: str, settings: BusSettings, database: "Database") -> None:
        """Run a full scan once every poll interval, or less often if it takes long."""
        self.position = 0
        """Fetches begin above it; 0 means a full scan."""
        self.skipped_keys: Collection[str] = ()
        """The keys that a fetch above `position` has to skip."""
        self._subscriber = subscriber
        self._interval = settings.poll_seconds
        self._database = database
        self._full_scan_at = float("-inf")
        self._full_scan_seconds = 0.0
        self._buckets: frozenset[int] = frozenset()
        self._action_count = 0
        self._highest_position = 0
        self._stable_position = 0
        """No open transaction can still store an event up to this position."""
        self._empty_below = 0
        """Nothing is pending up to this position, and only an operator action can change that."""
        self._next_point: WatermarkPoint | None = None

    async def fetch_above(
        self, buckets: Collection[int], fetch: FetchRows, in_flight: Collection[int] = ()
    ) -> Sequence[Any]:
        """Return what *fetch* finds of *buckets* above the watermark, or by a full scan if due.

        *in_flight* are positions that *fetch* leaves out because their deliveries are about to be
        completed. The watermark stays below them, so that their keys need not be skipped.
        """
        pause = max(self._interval, FULL_SCAN_SHARE * self._full_scan_seconds)
        if monotonic() - self._full_scan_at < pause and self._buckets.issuperset(buckets):
            due = await fetch(self.position, self.skipped_keys)
            if not due or due[0]["action_count"] == self._action_count:
                return due
        return await self.fetch_all(buckets, fetch, in_flight)

    async def fetch_all(
        self, buckets: Collection[int], fetch: FetchRows, in_flight: Collection[int] = ()
    ) -> Sequence[Any]:
        """Return all that *fetch* finds of *buckets*; set the watermark below the first row."""
        self.position, self.skipped_keys = 0, ()
        if not self._buckets.issuperset(buckets):
            self._empty_below = 0
        self._full_scan_at, self._buckets = monotonic(), frozenset(buckets)
        await self._read_horizon()
        due = await fetch(0, ())
        first = due[0]["pos"] if due else self._highest_position
        await self._advance(min(first, *in_flight) if in_flight else first)
        self._full_scan_seconds = monotonic() - self._full_scan_at
        return due

    async def _read_horizon(self) -> None:
        row = await self._database.bus_reads.fetchrow(QUERIES["horizon"])
        if row["action_count"] != self._action_count:
            self._empty_below = 0
        self._highest_position, self._action_count = row["highest"], row["action_count"]
        if self._next_point is not None and row["oldest"] >= self._next_point.transaction:
            self._stable_position, self._next_point = self._next_point.position, None
        if (
            self._next_point is None
            and self._highest_position > self._stable_position + LOOKBEHIND_ROWS
        ):
            # The id is read after the position, so every transaction that received a position up to
            # it is older.
            transaction = await self._database.bus_reads.fetchval(QUERIES["current_transaction"])
            self._next_point = WatermarkPoint(self._highest_position, transaction)

    async def _advance(self, lowest: int) -> None:
        position = min(lowest - LOOKBEHIND_ROWS, self._stable_position)
        if position <= 0:
            return
        rows = await self._database.bus_reads.fetch(
            QUERIES["skipped_keys"],
            self._subscriber,
            list(self._buckets),
            self._empty_below,
            position,
            MAX_SKIPPED_KEYS + 1,
        )
        if not rows:
            self._empty_below = max(self._empty_below, position)
        if len(rows) <= MAX_SKIPPED_KEYS:
            self.position, self.skipped_keys = position, [row["key"] for row in rows]


class PendingDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A pending delivery: an event that its subscriber has not handled yet, and its lease epoch."""

    pos: int
    bucket: int
    epoch: int
    event_id: UUID
    key: str
    type: str
    version: int
    seq: int | None
    payload: str
    headers: str
    occurred_at: datetime


class Backlog:
    """The pending deliveries of one subscriber."""

    def __init__(self, subscriber: str, settings: BusSettings, database: "Database") -> None:
        """Fetch the deliveries of *subscriber*."""
        self._subscriber = subscriber
        self._settings = settings
        self._database = database
        self._watermark = ScanWatermark(subscriber, settings, database)

    async def fetch_due(
        self, buckets: Mapping[int, int], excluded_keys: Collection[str]
    ) -> list[PendingDelivery]:
        """Return the oldest pending deliveries of *buckets* (epochs by bucket).

        Those of *excluded_keys* are left out. The scan begins above the watermark.
        """
        due = await self._watermark.fetch_above(
            buckets, partial(self._fetch_rows, buckets, excluded_keys)
        )
        return await self._load_deliveries(due, buckets, excluded_keys)

    async def fetch_all(
        self, buckets: Mapping[int, int], excluded_keys: Collection[str]
    ) -> list[PendingDelivery]:
        """Return what `fetch_due` returns, by a scan of the whole backlog."""
        due = await self._watermark.fetch_all(
            buckets, partial(self._fetch_rows, buckets, excluded_keys)
        )
        return await self._load_deliveries(due, buckets, excluded_keys)

    async def _fetch_rows(
        self,
        buckets: Collection[int],
        excluded_keys: Collection[str],
        position: int,
        skipped_keys: Collection[str],
    ) -> Sequence[Any]:
        due: Sequence[Any] = await self._database.bus_reads.fetch(
            QUERIES["backlog"],
            self._subscriber,
            list(buckets),
            [*excluded_keys, *skipped_keys],
            self._settings.batch_size,
            position,
        )
        return due

    async def _load_deliveries(
        self, due: Sequence[Any], buckets: Mapping[int, int], excluded_keys: Collection[str]
    ) -> list[PendingDelivery]:
        while due:
            deliveries = await self._load_events(due, buckets)
            if deliveries or len(due) < self._settings.batch_size:
                return deliveries
            # The events of all these rows were deleted by hand; the rows behind them still count.
            due = await self._fetch_rows(
                buckets, excluded_keys, due[-1]["pos"], self._watermark.skipped_keys
            )
        return []

    async def _load_events(
        self, due: Sequence[Any], buckets: Mapping[int, int]
    ) -> list[PendingDelivery]:
        ids = [row["event_id"] for row in due]
        rows = await self._database.bus_reads.fetch(QUERIES["events"], ids, min(ids), max(ids))
        events = {row["id"]: row for row in rows}
        return [
            PendingDelivery(
                pos=row["pos"],
                bucket=row["bucket"],
                epoch=buckets[row["bucket"]],
                event_id=event["id"],
                key=row["key"],
                type=event["type"],
                version=event["version"],
                seq=event["seq"],
                payload=event["payload"],
                headers=event["headers"],
                occurred_at=event["occurred_at"],
            )
            for row in due
            if (event := events.get(row["event_id"])) is not None
        ]
