"""Matches the receipts of one partition with the records in Kafka.

Both are read in the order of their offsets, so each is read once and memory use is constant.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from govid.bus.kafka import codec
from govid.bus.kafka.strangers import Seen

FETCH_ROWS = 2_000


class Claim(NamedTuple):
    """A receipt: at `handled_at` Kafka acknowledged the event at the offset."""

    event_id: UUID
    offset: int
    handled_at: datetime


class Difference(NamedTuple):
    """A receipt and the event found at its offset; None if govid did not write that record."""

    receipt: Claim
    found: UUID | None


class Claims:
    """Matches the receipts of one partition, read as needed, with its records."""

    def __init__(
        self,
        place: str,
        cursor: Any,
        somewhere: Collection[UUID],
        installation: str | None = None,
    ) -> None:
        """Read receipts from *cursor*; *without_offset* holds events of unknown offset.

        Records of another installation than *installation* count as foreign.
        """
        self.absent: list[Claim] = []
        """Receipts without a record at their offset."""
        self.differing: list[Difference] = []
        """Receipts with another record at their offset."""
        self.proved = 0
        self.somewhere = set(somewhere)
        """Events of unknown offset that have not been found yet."""
        self.foreign: Counter[str] = Counter()
        """Number of records that other installations of govid wrote, by installation id."""
        self._installation = installation
        self._place = place
        self._cursor = cursor
        self._rows: list[Claim] = []
        self._exhausted = False

    async def compare(self, records: Sequence[Any]) -> tuple[list[Seen], set[UUID]]:
        """Match the next *records*; return those that govid wrote, and the ids with receipts."""
        seen: list[Seen] = []
        matched_ids: set[UUID] = set()
        for record in records:
            await self._skip_before(record.offset)
            own = codec.own_id(record, self._installation)
            if own is None and (other := codec.other_installation(record, self._installation)):
                self.foreign[other] += 1
            # There are several if the topic was created again: another record had this offset once.
            while (receipt := await self._peek()) is not None and receipt.offset == record.offset:
                self._rows.pop()
                matched_ids.add(receipt.event_id)
                if own == receipt.event_id:
                    self.proved += 1
                else:
                    self.differing.append(Difference(receipt, own))
            if own is not None:
                seen.append(Seen(record.offset, own))
                if own in self.somewhere:
                    self.somewhere.remove(own)
                    self.proved += 1
        return seen, matched_ids

    async def finish(self) -> None:
        """Treat the remaining receipts as absent: there are no more records."""
        while (receipt := await self._peek()) is not None:
            self.absent.append(receipt)
            self._rows.pop()

    async def _skip_before(self, offset: int) -> None:
        while (receipt := await self._peek()) is not None and receipt.offset < offset:
            self.absent.append(receipt)
            self._rows.pop()

    async def _peek(self) -> Claim | None:
        if not self._rows and not self._exhausted:
            rows = await self._cursor.fetch(FETCH_ROWS)
            self._exhausted = len(rows) < FETCH_ROWS
            # Reversed, because removing the last element is cheap.
            self._rows = [Claim(*row) for row in reversed(rows)]
        return self._rows[-1] if self._rows else None
