"""Finds unknown records: govid wrote them, but this database does not know their events.

They occur in runs. A run at the end of a partition means that Kafka is ahead: the database was
restored from an older backup. A run in the middle, or one that an operator has accepted, means that
rows were deleted or that the restore was some time ago.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from govid.bus.findings import AuditFinding, kafka_ahead, record_unknown
from govid.bus.ids import uuid7_timestamp


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

    def findings(self) -> list[AuditFinding]:
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
