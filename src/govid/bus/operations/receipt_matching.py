"""Matches the receipts of one partition with its records, and finds unknown records.

Receipts and records are read in the order of their offsets, so each is read once and memory use is
constant. Unknown records were written by govid, but this database does not know their events. They
occur in runs. A run at the end of a partition means that Kafka is ahead: the database was restored
from an older backup. A run in the middle, or one that an operator has accepted, means that rows
were deleted or that the restore was some time ago.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus.kafka import cloudevents
from govid.bus.operations.audit_findings import AuditFinding, kafka_ahead, record_unknown
from govid.bus.shared.ids import uuid7_timestamp


class SeenRecord(msgspec.Struct, frozen=True):
    """Offset and event id of a record that govid wrote."""

    offset: int
    event_id: UUID


class UnknownRecords:
    """The unknown records of one partition, in the order of their offsets."""

    def __init__(self, place: str, lower: UUID, upper: UUID, *, accepted_end: int = 0) -> None:
        """Check the partition *place* for events from *lower* to before *upper*.

        *accepted_end* is the offset up to which an operator has accepted that Kafka is ahead.
        """
        self._place = place
        self._lower = lower
        self._upper = upper
        self._accepted = accepted_end
        self._run: list[SeenRecord] = []
        self._length = 0
        self._ended: list[AuditFinding] = []

    def check(self, seen: Sequence[SeenRecord], known: Collection[UUID]) -> None:
        """Check the next records *seen*, of which the database knows the ids *known*."""
        for one in seen:
            if one.event_id in known:
                self._close_run()
            elif self._lower <= one.event_id < self._upper:
                if self._is_accepted and one.offset >= self._accepted:
                    self._close_run()
                # Only the first and the last are kept: a run may have a million records.
                self._run = [*self._run[:1], one]
                self._length += 1

    @property
    def ahead_since(self) -> datetime | None:
        """Time of the first event of a run that reaches the end of the partition."""
        is_ahead = self._run and not self._is_accepted
        return uuid7_timestamp(self._run[0].event_id) if is_ahead else None

    @property
    def _is_accepted(self) -> bool:
        return bool(self._run) and self._run[-1].offset < self._accepted

    def build_findings(self) -> list[AuditFinding]:
        """Return the findings, after the end of the partition was reached."""
        if self._is_accepted:
            self._close_run()
        if not self._run:
            return self._ended
        first = self._run[0]
        return [*self._ended, kafka_ahead(self._place, first.offset, self._length, first.event_id)]

    def _close_run(self) -> None:
        if self._run:
            first, last = self._run[0], self._run[-1]
            self._ended.append(
                record_unknown(self._place, first.offset, last.offset, self._length, first.event_id)
            )
        self._run, self._length = [], 0


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
            own = cloudevents.own_event_id(record, self._installation)
            if own is None and (
                other := cloudevents.foreign_installation(record, self._installation)
            ):
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
