"""Statuses of an appointment, and the decision that changes them."""

from datetime import datetime
from enum import StrEnum

import msgspec


class AppointmentStatus(StrEnum):
    """Status of an appointment."""

    REQUESTED = "REQUESTED"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    COMPLETED = "COMPLETED"


LIVE_STATUSES = (AppointmentStatus.REQUESTED, AppointmentStatus.CONFIRMED)
"""Statuses of an appointment that is still ahead."""


class AppointmentDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Decision on an appointment request: a confirmed time, or the reason of a rejection."""

    status: AppointmentStatus
    confirmed_datetime: datetime | None = None
    confirmation_details: str | None = None
    rejection_reason: str | None = None
