"""Reads what is owed to Kafka, oldest first; a long backlog does not make it dearer."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from govid.bus.consumers import RELAY
from govid.bus.floor import Floor
from govid.bus.kafka.shipment import Row
from govid.bus.settings import BusSettings
from govid.bus.sql import read

if TYPE_CHECKING:
    # Commands are built on this without SQLAlchemy (I13).
    from govid.bus.storage.database import Database

QUERIES = read("govid.bus.kafka", "relay.sql")


class Debts:
    """The deliveries of the relay, with all that goes out of their events."""

    def __init__(self, settings: BusSettings, database: "Database") -> None:
        """Read from *database*."""
        self._settings = settings
        self._database = database
        self._floor = Floor(RELAY, settings, database)

    async def read(
        self, buckets: Collection[int], under_way: Collection[int], resting: Collection[str]
    ) -> Sequence[Row]:
        """Return the oldest debts of *buckets*.

        Without those whose positions are *under_way*, and those of topics that are *resting*.
        """
        fetch = partial(self._due, buckets, under_way, resting)
        due = await self._floor.read(buckets, fetch, under_way)
        while due:
            rows = await self._with_events(due)
            if rows or len(due) < self._settings.relay_batch_size:
                return rows
            # Somebody has deleted the events of all of these; those behind them are owed as well.
            due = await fetch(due[-1]["pos"], self._floor.hidden)
        return ()

    async def _due(
        self,
        buckets: Collection[int],
        under_way: Collection[int],
        resting: Collection[str],
        position: int,
        hidden: Collection[str],
    ) -> Sequence[Any]:
        due: Sequence[Any] = await self._database.bus_reads.fetch(
            QUERIES["relay_backlog"],
            RELAY,
            list(buckets),
            list(under_way),
            list(resting),
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
