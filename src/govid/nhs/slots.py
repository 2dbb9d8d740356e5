"""Times of practices, in a word that storage and adapters share."""

from datetime import datetime

import msgspec


class FreeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A time that can be booked, at a practice with this number in the Directory of Services."""

    id: str
    service: str
    start: datetime
    end: datetime
