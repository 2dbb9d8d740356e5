"""Compares what receipts claim of one partition with the records that are there.

Both come in the order of their offsets, so each is read once, and memory stays flat.
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
    """A receipt: the event stands at the offset, and somebody knew it then."""

    event_id: UUID
    offset: int
    handled_at: datetime


class Difference(NamedTuple):
    """A claim, and which event stands at its place; None for a record that is not ours."""

    claim: Claim
    found: UUID | None


class Claims:
    """The claims on one partition, read as they are needed."""

    def __init__(
        self,
        place: str,
        cursor: Any,
        somewhere: Collection[UUID],
        installation: str | None = None,
    ) -> None:
        """Read claims from *cursor*; *somewhere* are events whose offset nobody knows.

        Records of another installation than *installation* are not ours.
        """
        self.absent: list[Claim] = []
        """Those for which there was no record."""
        self.differing: list[Difference] = []
        """Those where another record stands."""
        self.proved = 0
        self.somewhere = set(somewhere)
        """Those of unknown offset that have not been met yet."""
        self.foreign: Counter[str] = Counter()
        """How many records other installations of govid wrote, by their names."""
        self._installation = installation
        self._place = place
        self._cursor = cursor
        self._rows: list[Claim] = []
        self._exhausted = False

    async def compare(self, records: Sequence[Any]) -> tuple[list[Seen], set[UUID]]:
        """Go on with *records*; return those that govid wrote, and the ids that were claimed."""
        seen: list[Seen] = []
        claimed: set[UUID] = set()
        for record in records:
            await self._pass_over(record.offset)
            own = codec.own_id(record, self._installation)
            if own is None and (other := codec.other_installation(record, self._installation)):
                self.foreign[other] += 1
            # Several, if the topic was created again: another record stood there once.
            while (claim := await self._head()) is not None and claim.offset == record.offset:
                self._rows.pop()
                claimed.add(claim.event_id)
                if own == claim.event_id:
                    self.proved += 1
                else:
                    self.differing.append(Difference(claim, own))
            if own is not None:
                seen.append(Seen(record.offset, own))
                if own in self.somewhere:
                    self.somewhere.remove(own)
                    self.proved += 1
        return seen, claimed

    async def finish(self) -> None:
        """Say that there are no more records."""
        while (claim := await self._head()) is not None:
            self.absent.append(claim)
            self._rows.pop()

    async def _pass_over(self, offset: int) -> None:
        while (claim := await self._head()) is not None and claim.offset < offset:
            self.absent.append(claim)
            self._rows.pop()

    async def _head(self) -> Claim | None:
        if not self._rows and not self._exhausted:
            rows = await self._cursor.fetch(FETCH_ROWS)
            self._exhausted = len(rows) < FETCH_ROWS
            # The next one last, where taking it is cheap.
            self._rows = [Claim(*row) for row in reversed(rows)]
        return self._rows[-1] if self._rows else None
