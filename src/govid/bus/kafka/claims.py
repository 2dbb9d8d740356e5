"""Matches the receipts of one partition with the records in Kafka.

Both are read in the order of their offsets, so each is read once and memory use is constant.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from govid.bus.kafka import codec
from govid.bus.kafka.strangers import SeenRecord

FETCH_ROWS = 2_000


class ReceiptClaim(NamedTuple):
    """A receipt: at `handled_at` Kafka acknowledged the event at the offset."""

    event_id: UUID
    offset: int
    handled_at: datetime


class ReceiptMismatch(NamedTuple):
    """A receipt and the event found at its offset; None if govid did not write that record."""

    receipt: ReceiptClaim
    found: UUID | None


class ReceiptMatcher:
    """Matches the receipts of one partition, read as needed, with its records."""

    def __init__(
        self,
        place: str,
        cursor: Any,
        without_offset: Collection[UUID],
        installation: str | None = None,
    ) -> None:
        """Read receipts from *cursor*; *without_offset* holds events of unknown offset.

        Records of another installation than *installation* count as foreign.
        """
        self.unmatched: list[ReceiptClaim] = []
        """Receipts without a record at their offset."""
        self.mismatches: list[ReceiptMismatch] = []
        """Receipts with another record at their offset."""
        self.matched_count = 0
        self.without_offset = set(without_offset)
        """Events of unknown offset that have not been found yet."""
        self.foreign_counts: Counter[str] = Counter()
        """Number of records that other installations of govid wrote, by installation id."""
        self._installation = installation
        self._place = place
        self._cursor = cursor
        self._rows: list[ReceiptClaim] = []
        self._exhausted = False

    async def match(self, records: Sequence[Any]) -> tuple[list[SeenRecord], set[UUID]]:
        """Match the next *records*; return those that govid wrote, and the ids with receipts."""
        seen: list[SeenRecord] = []
        matched_ids: set[UUID] = set()
        for record in records:
            await self._skip_before(record.offset)
            own = codec.own_event_id(record, self._installation)
            if own is None and (other := codec.foreign_installation(record, self._installation)):
                self.foreign_counts[other] += 1
            # There are several if the topic was created again: another record had this offset once.
            while (receipt := await self._peek()) is not None and receipt.offset == record.offset:
                self._rows.pop()
                matched_ids.add(receipt.event_id)
                if own == receipt.event_id:
                    self.matched_count += 1
                else:
                    self.mismatches.append(ReceiptMismatch(receipt, own))
            if own is not None:
                seen.append(SeenRecord(record.offset, own))
                if own in self.without_offset:
                    self.without_offset.remove(own)
                    self.matched_count += 1
        return seen, matched_ids

    async def finish(self) -> None:
        """Treat the remaining receipts as absent: there are no more records."""
        while (receipt := await self._peek()) is not None:
            self.unmatched.append(receipt)
            self._rows.pop()

    async def _skip_before(self, offset: int) -> None:
        while (receipt := await self._peek()) is not None and receipt.offset < offset:
            self.unmatched.append(receipt)
            self._rows.pop()

    async def _peek(self) -> ReceiptClaim | None:
        if not self._rows and not self._exhausted:
            rows = await self._cursor.fetch(FETCH_ROWS)
            self._exhausted = len(rows) < FETCH_ROWS
            # Reversed, because removing the last element is cheap.
            self._rows = [ReceiptClaim(*row) for row in reversed(rows)]
        return self._rows[-1] if self._rows else None
