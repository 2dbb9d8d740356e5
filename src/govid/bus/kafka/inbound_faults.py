"""Stores at which positions of the inbound topics govid does not get on.

The rows are for operators: `govid outbox status` and `govid topics list` read them in another
process. A row leaves once a replica has passed its position, whichever replica reported it, or when
the partition begins anew.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from govid.bus.sql import read

QUERIES = read("govid.bus.kafka", "inbound_faults.sql")

FaultKind = Literal["unreadable", "failing"]
"""*unreadable*: the batch cannot be decoded. *failing*: its records cannot be stored."""


class FaultReport(Protocol):
    """What is known of a fault."""

    offset: int
    next_offset: int
    kind: FaultKind
    reason: str


class InboundFault(msgspec.Struct, frozen=True, kw_only=True):
    """A position at which a partition has stopped.

    `next_offset` is where reading goes on if the batch is stepped over. `accepted_at` is set once
    an operator has decided that, and until a replica has done it.
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
    def place(self) -> str:
        """Return topic, partition and offset as they are written everywhere."""
        return f"{self.topic}/{self.partition}/{self.first_offset}"


class InboundFaults:
    """The table `bus.inbound_fault`, read and written by the process that consumes."""

    def __init__(self, connection: Any) -> None:
        """Read and write through *connection*, an asyncpg connection or pool."""
        self._connection = connection

    async def report(self, topic: str, partition: int, fault: FaultReport) -> None:
        """Store *fault*; a decision that an operator has made about it stays."""
        await self._connection.execute(
            QUERIES["report_inbound_fault"],
            topic,
            partition,
            fault.offset,
            fault.next_offset,
            fault.kind,
            fault.reason,
        )

    async def accepted(self, topic: str, partition: int, offset: int) -> int | None:
        """Return where to go on behind *offset* if an operator has accepted that."""
        found: int | None = await self._connection.fetchval(
            QUERIES["accepted_inbound_fault"], topic, partition, offset
        )
        return found

    async def settle(self, topic: str, partition: int, position: int) -> bool:
        """Delete the faults before *position*; tell whether others are left."""
        is_left: bool = await self._connection.fetchval(
            QUERIES["settle_inbound_faults"], topic, partition, position
        )
        return is_left

    async def withdraw(self, topic: str, partition: int, position: int) -> None:
        """Delete the faults from *position* on, with what operators have decided about them.

        For a partition that begins anew: its offsets are about to hold other records.
        """
        await self._connection.execute(
            QUERIES["withdraw_inbound_faults"], topic, partition, position
        )

    async def fetch_all(self) -> Sequence[InboundFault]:
        """Return all faults, by topic, partition and offset."""
        rows = await self._connection.fetch(QUERIES["inbound_faults"])
        return [InboundFault(**row) for row in rows]

    async def accept(self, topic: str, partition: int, offset: int) -> InboundFault | None:
        """Note that the fault at *offset* may be stepped over; None if that is not open."""
        row = await self._connection.fetchrow(
            QUERIES["accept_inbound_fault"], topic, partition, offset
        )
        return None if row is None else InboundFault(**row)
