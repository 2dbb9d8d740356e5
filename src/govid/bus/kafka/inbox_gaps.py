"""Stores which inbound records Kafka removed before govid read them."""

import logging
from collections.abc import Callable
from typing import Any

from govid.bus.kafka.inbound_faults import QUERIES

log = logging.getLogger(__name__)


class InboxGaps:
    """Stores gaps of the inbound topics: records that Kafka removed unread."""

    def __init__(
        self, connection: Any, on_found: Callable[[str, int], None] = lambda _topic, _records: None
    ) -> None:
        """Write through *connection*, which may be a pool; *on_found* is called for new gaps."""
        self._connection = connection
        self._on_found = on_found

    async def record_gap(self, topic: str, partition: int, first: int, next_offset: int) -> bool:
        """Store that the records from *first* to before *next_offset* were removed unread.

        Return whether that is new; another replica may have stored the same gap.
        """
        known_to: int | None = await self._connection.fetchval(
            QUERIES["record_gap"], topic, partition, first, next_offset
        )
        if known_to is not None:
            self._on_found(topic, next_offset - known_to)
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
