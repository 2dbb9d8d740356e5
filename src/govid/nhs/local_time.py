"""Times as citizens write them: by the clock on the wall, unless they say otherwise."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")

# datetime.fromisoformat alone would take a bare date, a week, and any character between the two.
_DATE_AND_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def moment_of(text: str) -> datetime:
    """Return the moment that *text* names, in UTC.

    ISO 8601, a date and a time. Without an offset it is a time in the United Kingdom.

    Raises:
        ValueError: it names no moment, or two. Its text may be shown.
    """
    if not _DATE_AND_TIME.fullmatch(text):
        raise ValueError("must be a date and a time like 2026-03-02T09:00 or 2026-03-02T09:00Z")
    try:
        written = datetime.fromisoformat(text.upper())
        return (_in_london(written) if written.tzinfo is None else written).astimezone(UTC)
    except _NoSingleMoment:
        raise
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such date or time") from error


def on_the_wall(moment: datetime) -> str:
    """Return *moment* as a citizen reads it: by the clock on the wall."""
    return moment.astimezone(LONDON).strftime("%d %B %Y at %H:%M")


class _NoSingleMoment(ValueError):
    """The clocks were changed around this time."""


def _in_london(written: datetime) -> datetime:
    """Return *written*, which has no offset, with London's.

    `fold` tells the first of two equal times from the second (PEP 495). Around a change of the
    clocks the two readings differ; of a time that was skipped, neither comes back as written.
    """
    first, second = (written.replace(tzinfo=LONDON, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(LONDON).replace(tzinfo=None) != written:
        raise _NoSingleMoment("the clocks go forward then: there is no such time in the UK")
    raise _NoSingleMoment("the clocks go back then: this time comes twice, so give an offset")
