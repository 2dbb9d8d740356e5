"""Fetches pending deliveries of the relay, oldest first.

The cost of a fetch does not grow with the length of the backlog (see `ScanWatermark`).
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from govid.bus.consumers import RELAY
from govid.bus.floor import ScanWatermark
from govid.bus.kafka.shipment import Row
from govid.bus.settings import BusSettings
from govid.bus.sql import load_statements
from govid.bus.storage.database import Database

QUERIES = load_statements("govid.bus.kafka", "relay.sql")


class RelayBacklog:
    """The pending deliveries of the relay, with the published columns of their events."""

    def __init__(self, settings: BusSettings, database: Database) -> None:
        """Read from *database*."""
        self._settings = settings
        self._database = database
        self._watermark = ScanWatermark(RELAY, settings, database)

    async def fetch_due(
        self, buckets: Collection[int], in_flight: Collection[int], paused: Collection[str]
    ) -> Sequence[Row]:
        """Return the oldest pending deliveries of *buckets*.

        Excludes the positions *in_flight* and the deliveries of the topics *paused*.
        """
        fetch = partial(self._due, buckets, in_flight, paused)
        due = await self._watermark.fetch_above(buckets, fetch, in_flight)
        while due:
            rows = await self._with_events(due)
            if rows or len(due) < self._settings.relay_batch_size:
                return rows
            # The events of all these deliveries were deleted; later deliveries are still pending.
            due = await fetch(due[-1]["pos"], self._watermark.skipped_keys)
        return ()

    async def _due(
        self,
        buckets: Collection[int],
        in_flight: Collection[int],
        paused: Collection[str],
        position: int,
        hidden: Collection[str],
    ) -> Sequence[Any]:
        due: Sequence[Any] = await self._database.bus_reads.fetch(
            QUERIES["relay_backlog"],
            RELAY,
            list(buckets),
            list(in_flight),
            list(paused),
            self._settings.relay_batch_size,
            position,
            list(hidden),
        )
        return due

    async def _with_events(self, due: Sequence[Any]) -> Sequence[Row]:
        ids = [row["event_id"] for row in due]
        found = await self._database.bus_reads.fetch(
            QUERIES["relay_events"], ids, min(ids), max(ids)
        )
        events = {event["id"]: event for event in found}
        return [{**row, **events[row["event_id"]]} for row in due if row["event_id"] in events]
