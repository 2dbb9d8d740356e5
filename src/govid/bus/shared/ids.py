"""Version 7 UUIDs: identifiers that sort by their time of creation."""

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
    """Create a version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits.

    Created here because PostgreSQL has `uuidv7()` only from version 18 on. Two ids of the same
    millisecond have no defined order; no code may depend on one.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = time.time_ns() // 1_000_000
    entropy = secrets.randbits(74)
    return UUID(int=_assemble(milliseconds, entropy >> 62, entropy & ((1 << 62) - 1)))


def first_uuid7_at(moment: datetime) -> UUID:
    """Return the lowest version 7 UUID of *moment*: a boundary for partitions and ranges."""
    # In integers: a float of seconds may be slightly less than its value.
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    # No id is older than the epoch.
    return UUID(int=_assemble(max(0, milliseconds), 0, 0))


def uuid7_timestamp(identifier: UUID) -> datetime:
    """Return when the version 7 UUID *identifier* was created, to the millisecond.

    An id from another producer may have a time after the year 9999: the result is then its end.
    """
    milliseconds = identifier.int >> 80
    return EPOCH + timedelta(milliseconds=min(milliseconds, _LAST_MILLISECOND))


def _assemble(milliseconds: int, rand_a: int, rand_b: int) -> int:
    timestamp = milliseconds & ((1 << _TIMESTAMP_BITS) - 1)
    return timestamp << 80 | _VERSION | rand_a << 64 | _VARIANT | rand_b
