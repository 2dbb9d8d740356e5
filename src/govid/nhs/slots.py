"""Slots of practices, statuses and decisions of appointments, and UK local time."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

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


class FreeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """Bookable time; `service` is the practice's number in the Directory of Services."""

    id: str
    service: str
    start: datetime
    end: datetime


UK_TIME_ZONE = ZoneInfo("Europe/London")

# `datetime.fromisoformat` alone would accept a bare date, a week date, and any separator.
_DATE_AND_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def parse_time(text: str) -> datetime:
    """Parse a date and time in ISO 8601 and return it in UTC.

    Without an offset it is a time in the United Kingdom.

    Raises:
        ValueError: *text* names no point in time, or two. The error text may be shown.
    """
    if not _DATE_AND_TIME.fullmatch(text):
        raise ValueError("must be a date and a time like 2026-03-02T09:00 or 2026-03-02T09:00Z")
    try:
        local = datetime.fromisoformat(text.upper())
        return (_localise(local) if local.tzinfo is None else local).astimezone(UTC)
    except _ClockChange:
        raise
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such date or time") from error


def format_uk_time(moment: datetime) -> str:
    """Format *moment* in UK local time."""
    return moment.astimezone(UK_TIME_ZONE).strftime("%d %B %Y at %H:%M")


class _ClockChange(ValueError):
    """The local time does not exist or occurs twice, because the clocks change."""


def _localise(local: datetime) -> datetime:
    """Return *local*, which has no offset, in London's time zone.

    `fold` distinguishes the first of two equal times from the second (PEP 495). The two readings
    differ only around a clock change. A skipped time does not survive a round trip through UTC.

    Raises:
        _ClockChange: the time was skipped or occurs twice.
    """
    first, second = (local.replace(tzinfo=UK_TIME_ZONE, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(UK_TIME_ZONE).replace(tzinfo=None) != local:
        raise _ClockChange("the clocks go forward then: there is no such time in the UK")
    raise _ClockChange("the clocks go back then: this time comes twice, so give an offset")
