"""Remembers which inbound records Kafka removed before govid read them."""

import logging
from collections.abc import Callable
from typing import Any

from govid.bus.kafka.inbound_faults import QUERIES

log = logging.getLogger(__name__)


class InboxGaps:
    """The gaps of all inbound topics, in the database."""

    def __init__(
        self, connection: Any, count: Callable[[str, int], None] = lambda _topic, _records: None
    ) -> None:
        """Write through *connection*, which may be a pool; *count* hears of what is news."""
        self._connection = connection
        self._count = count

    async def record(self, topic: str, partition: int, first: int, next_offset: int) -> bool:
        """Note that the records from *first* to before *next_offset* cannot be read any more.

        Return whether that is news; another replica may have met the same gap.
        """
        known_to: int | None = await self._connection.fetchval(
            QUERIES["record_gap"], topic, partition, first, next_offset
        )
        if known_to is not None:
            self._count(topic, next_offset - known_to)
            log.error(
                "inbox.records_removed",
                extra={
                    "topic": topic,
                    "partition": partition,
                    "offset": first,
                    "next_offset": next_offset,
                    "records": next_offset - known_to,
                },
            )
        return known_to is not None
