"""Fetches pending deliveries of one subscriber, oldest first.

The cost of a fetch does not grow with the length of the backlog (see `ScanWatermark`).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from govid.bus.floor import QUERIES, ScanWatermark
from govid.bus.settings import BusSettings

if TYPE_CHECKING:
    # Commands import the scan watermark without SQLAlchemy (I13).
    from govid.bus.storage.database import Database


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
