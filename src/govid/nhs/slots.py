"""Slots of practices, as the repository and the clients share them."""

from datetime import datetime

import msgspec


class FreeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """Bookable time; `service` is the practice's number in the Directory of Services."""

    id: str
    service: str
    start: datetime
    end: datetime
