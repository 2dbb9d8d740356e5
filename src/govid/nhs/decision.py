"""What may become of an appointment."""

from datetime import datetime
from enum import StrEnum

import msgspec


class AppointmentStatus(StrEnum):
    """How far an appointment has come."""

    REQUESTED = "REQUESTED"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    COMPLETED = "COMPLETED"


LIVE = (AppointmentStatus.REQUESTED, AppointmentStatus.CONFIRMED)
"""What an appointment is as long as somebody may still come."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a wish: a time, or the reason why there is none."""

    status: AppointmentStatus
    confirmed_datetime: datetime | None = None
    confirmation_details: str | None = None
    rejection_reason: str | None = None
