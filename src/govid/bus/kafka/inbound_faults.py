"""Stores where inbound partitions have stopped, and which records Kafka removed unread.

The rows are for operators: `govid outbox status`, `govid topics list` and `govid outbox verify`
read them in another process. A fault is deleted once any replica has passed its position, or when
the partition starts again from the beginning. A gap stays until an operator accepts it.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from govid.bus.storage.sql import load_statements

log = logging.getLogger(__name__)


QUERIES = load_statements("govid.bus.kafka", "inbound_faults.sql")

FaultKind = Literal["unreadable", "failing"]
"""Stored values. `unreadable`: the batch cannot be decoded (`UndecodableBatch`). `failing`: its
records cannot be stored."""


DENIED = "TopicAuthorizationFailedError"
"""The reason of a fault if Kafka's ACLs do not allow govid to read the topic."""


class FaultReport(Protocol):
    """What a reader reports about a fault."""

    offset: int
    next_offset: int
    kind: FaultKind
    reason: str


class InboundFault(msgspec.Struct, frozen=True, kw_only=True):
    """A position at which a partition has stopped.

    `next_offset` is where reading continues if the batch is skipped. `accepted_at` is set from the
    decision of an operator to skip it until a replica has done so.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    kind: FaultKind
    reason: str
    found_at: datetime
    accepted_at: datetime | None

    @property
    def is_denied(self) -> bool:
        """Whether Kafka's ACLs do not allow reading. The records can be read once they do."""
        return self.reason == DENIED

    @property
    def location(self) -> str:
        """Return topic, partition and offset as `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.first_offset}"


class InboundFaults:
    """Reads and writes the table `bus.inbound_fault`."""

    def __init__(self, connection: Any) -> None:
        """Read and write through *connection*, an asyncpg connection or pool."""
        self._connection = connection

    async def store_fault(self, topic: str, partition: int, fault: FaultReport) -> None:
        """Store *fault*, keeping an earlier decision of an operator about it."""
        await self._connection.execute(
            QUERIES["report_inbound_fault"],
            topic,
            partition,
            fault.offset,
            fault.next_offset,
            fault.kind,
            fault.reason,
        )

    async def fetch_accepted_end(self, topic: str, partition: int, offset: int) -> int | None:
        """Return the offset to continue at if an operator has accepted to skip *offset*."""
        found: int | None = await self._connection.fetchval(
            QUERIES["accepted_inbound_fault"], topic, partition, offset
        )
        return found

    async def delete_passed(self, topic: str, partition: int, position: int) -> bool:
        """Delete the faults before *position*; return whether others are left."""
        has_more: bool = await self._connection.fetchval(
            QUERIES["delete_passed_faults"], topic, partition, position
        )
        return has_more

    async def delete_from(self, topic: str, partition: int, position: int) -> None:
        """Delete the faults from *position* on, including decisions of operators about them.

        Used for a partition that starts again: its offsets will hold other records.
        """
        await self._connection.execute(QUERIES["delete_faults_from"], topic, partition, position)

    async def fetch_all(self) -> Sequence[InboundFault]:
        """Return all faults, by topic, partition and offset."""
        rows = await self._connection.fetch(QUERIES["inbound_faults"])
        return [InboundFault(**row) for row in rows]

    async def accept_skip(self, topic: str, partition: int, offset: int) -> InboundFault | None:
        """Accept that the fault at *offset* is skipped; return None if no such fault is open."""
        row = await self._connection.fetchrow(
            QUERIES["accept_inbound_fault"], topic, partition, offset
        )
        return None if row is None else InboundFault(**row)


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
