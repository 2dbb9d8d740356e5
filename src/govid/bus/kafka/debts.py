"""Reads what is owed to Kafka, oldest first; a long backlog does not make it dearer."""

from collections.abc import Collection, Sequence

from govid.bus import sql as bus_sql
from govid.bus.consumers import RELAY
from govid.bus.database import Database
from govid.bus.floor import Floor
from govid.bus.kafka.shipment import Row
from govid.bus.kafka.sql import QUERIES
from govid.bus.settings import BusSettings


class Debts:
    """The deliveries of the relay, with all that goes out of their events."""

    def __init__(self, settings: BusSettings, database: Database) -> None:
        """Read from *database*."""
        self._settings = settings
        self._database = database
        self._floor = Floor(settings.poll_seconds)

    async def read(
        self, buckets: Collection[int], under_way: Collection[int], resting: Collection[str]
    ) -> Sequence[Row]:
        """Return the oldest debts of *buckets*.

        Without those whose positions are *under_way*, and those of topics that are *resting*.
        """
        if not self._floor.whole_is_due:
            return await self._read(buckets, under_way, resting, self._floor.position)
        self._floor.begin_whole()
        highest: int = await self._database.bus_reads.fetchval(bus_sql.QUERIES["highest_position"])
        rows = await self._read(buckets, under_way, resting, 0)
        self._floor.found(rows[0]["pos"] if rows else highest)
        return rows

    async def _read(
        self,
        buckets: Collection[int],
        under_way: Collection[int],
        resting: Collection[str],
        floor: int,
    ) -> Sequence[Row]:
        pool, size = self._database.bus_reads, self._settings.relay_batch_size
        while True:
            due = await pool.fetch(
                QUERIES["relay_backlog"],
                RELAY,
                list(buckets),
                list(under_way),
                list(resting),
                size,
                floor,
            )
            if not due:
                return ()
            found = await pool.fetch(QUERIES["relay_events"], [row["event_id"] for row in due])
            events = {event["id"]: event for event in found}
            rows = [{**row, **events[row["event_id"]]} for row in due if row["event_id"] in events]
            if rows or len(due) < size:
                return rows
            # Somebody has deleted the events of all of these; those behind them are owed as well.
            floor = due[-1]["pos"]
