"""Filters the deliveries that an operator command applies to."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from govid.bus.shared.ids import first_uuid7_at


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that must all hold; an empty filter matches every delivery.

    `since` (inclusive) and `until` (exclusive) compare the time at which govid stored the event.
    """

    ids: Sequence[UUID] = ()
    key: str | None = None
    type: str | None = None
    topic: str | None = None
    subscriber: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the filter matches every delivery."""
        return self == DeliveryFilter()

    def describe(self) -> dict[str, str]:
        """Return the given conditions as text, for the event that records an operator action."""
        given = {
            "ids": " ".join(map(str, self.ids)),
            "key": self.key,
            "type": self.type,
            "topic": self.topic,
            "subscriber": self.subscriber,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in given.items() if value}

    def query_parameters(self) -> list[object]:
        """Return the query parameters of `CONDITIONS`, in order."""
        return [
            list(self.ids) or None,
            self.key,
            self.type,
            self.topic,
            self.subscriber,
            self.since and first_uuid7_at(self.since),
            self.until and first_uuid7_at(self.until),
        ]


CONDITIONS = """
        ($1::uuid[] IS NULL OR e.id = ANY ($1))
    AND ($2::text IS NULL OR e.key = $2)
    AND ($3::text IS NULL OR e.type = $3)
    AND ($4::text IS NULL OR e.topic = $4)
    AND ($5::text IS NULL OR s.subscriber = $5)
    AND ($6::uuid IS NULL OR e.id >= $6)
    AND ($7::uuid IS NULL OR e.id < $7)
"""
"""The filter in SQL, for an event `e` and a row `s` of one of its subscribers. The limits in time
compare the id, which starts with its time, so that PostgreSQL prunes whole partitions."""
