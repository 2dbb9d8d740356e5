"""Finds the records of one partition that govid wrote and this database does not know.

They come in runs. A run at the end says that Kafka is ahead: the database was restored from an
older backup. One in the middle says that rows were deleted, or that it happened a while ago, and so
does one that an operator has accepted.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from govid.bus.findings import Finding, kafka_ahead, record_unknown
from govid.bus.ids import moment_of


class Seen(msgspec.Struct, frozen=True):
    """A record that govid wrote."""

    offset: int
    event_id: UUID


class Strangers:
    """The unknown records of one partition, in the order of their offsets."""

    def __init__(self, place: str, lower: UUID, upper: UUID, *, accepted: int = 0) -> None:
        """Look at the partition *place*, for events from *lower* on and before *upper*.

        *accepted* is the offset up to which an operator has accepted that Kafka is ahead.
        """
        self._place = place
        self._lower = lower
        self._upper = upper
        self._accepted = accepted
        self._run: list[Seen] = []
        self._length = 0
        self._ended: list[Finding] = []

    def judge(self, seen: Sequence[Seen], known: Collection[UUID]) -> None:
        """Go on with the records *seen* next, of which the database has the *known* ones."""
        for one in seen:
            if one.event_id in known:
                self._end()
            elif self._lower <= one.event_id < self._upper:
                if self._is_accepted and one.offset >= self._accepted:
                    self._end()
                # The first and the last say where the run is; a backup may be a million behind.
                self._run = [*self._run[:1], one]
                self._length += 1

    @property
    def ahead_since(self) -> datetime | None:
        """When the first event was made of a run that lasts until the end."""
        is_ahead = self._run and not self._is_accepted
        return moment_of(self._run[0].event_id) if is_ahead else None

    @property
    def _is_accepted(self) -> bool:
        return bool(self._run) and self._run[-1].offset < self._accepted

    def findings(self) -> list[Finding]:
        """Return what was found, once the end of the partition was reached."""
        if self._is_accepted:
            self._end()
        if not self._run:
            return self._ended
        first = self._run[0]
        return [*self._ended, kafka_ahead(self._place, first.offset, self._length, first.event_id)]

    def _end(self) -> None:
        if self._run:
            first, last = self._run[0], self._run[-1]
            self._ended.append(
                record_unknown(self._place, first.offset, last.offset, self._length, first.event_id)
            )
        self._run, self._length = [], 0
