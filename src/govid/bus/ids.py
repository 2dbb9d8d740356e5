"""Identifiers that sort by time of birth."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_TIMESTAMP_BITS = 48
_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLISECOND = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def uuid7() -> UUID:
    """Make a version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits.

    Made here and not by the database, which knows `uuidv7()` only from PostgreSQL 18. Two of the
    same millisecond have no order; nothing may rest on one.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = time.time_ns() // 1_000_000
    entropy = secrets.randbits(74)
    return UUID(int=_assemble(milliseconds, entropy >> 62, entropy & ((1 << 62) - 1)))


def first_uuid7_of(moment: datetime) -> UUID:
    """Return the lowest version 7 UUID of *moment*: a boundary for partitions and ranges."""
    # In whole numbers: a fraction of seconds may be a little less than it says.
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    # No id is older than the epoch.
    return UUID(int=_assemble(max(0, milliseconds), 0, 0))


def moment_of(identifier: UUID) -> datetime:
    """Return when the version 7 UUID *identifier* was made, to the millisecond.

    One that others have made may claim a time after the end of the calendar: then that end.
    """
    milliseconds = identifier.int >> 80
    return EPOCH + timedelta(milliseconds=min(milliseconds, _LAST_MILLISECOND))


def _assemble(milliseconds: int, rand_a: int, rand_b: int) -> int:
    timestamp = milliseconds & ((1 << _TIMESTAMP_BITS) - 1)
    return timestamp << 80 | _VERSION | rand_a << 64 | _VARIANT | rand_b
