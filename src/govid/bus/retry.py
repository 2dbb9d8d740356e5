"""What kind of failure this is, and when to try again."""

import hashlib
import random
import traceback

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DATABASE_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What the driver raises when PostgreSQL is away, restarting, or cuts a connection."""

# Errors by which PostgreSQL says "not now" rather than "not so": the same work may succeed later.
# Classes 08 connection, 40 rollback, 53 resources, 57 intervention; 25P03 idle, 55P03 lock.
_TRANSIENT_CLASSES = ("08", "40", "53", "57")
_TRANSIENT_STATES = frozenset({"25P03", "55P03"})
_DRIVER_AT_A_LOSS = (
    PoolTimeout,
    TimeoutError,
    ConnectionError,
    asyncpg.InterfaceError,
    # A connection that broke in the middle of a message may leave the driver in any state.
    asyncpg.InternalClientError,
)


def is_transient(error: BaseException) -> bool:
    """Tell whether *error* says nothing about the event that was being handled.

    A lost connection, a deadlock, a full pool: the same delivery is simply tried again, and none
    of its attempts is spent.
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _state_is_transient(error.orig)
    if isinstance(error, asyncpg.PostgresError):
        return _state_is_transient(error)
    return isinstance(error, _DRIVER_AT_A_LOSS)


def _state_is_transient(error: BaseException | None) -> bool:
    state = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, (OSError, asyncpg.InterfaceError))
    return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES


def backoff(attempts: int, limit_seconds: float) -> float:
    """Return for how many seconds to wait after *attempts* failures: 1, 2, 4 .. up to the limit.

    Up to a quarter is taken off at random, so that keys which failed together come back apart.
    """
    return _jittered(min(float(2 ** min(attempts - 1, 30)), limit_seconds))


def patience(elapsed_seconds: float, limit_seconds: float) -> float:
    """Return for how many seconds to wait for a dependency that has been away so long.

    As long again as it has been away: that doubles by itself and needs no counter, for an outage
    spends no attempts.
    """
    return _jittered(min(max(elapsed_seconds, 1.0), limit_seconds))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.0)  # noqa: S311 - not a secret


def error_class(error: BaseException) -> str:
    """Return the dotted name of *error*'s class: all that may be kept of it, as texts leak (I9)."""
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def fingerprint(error: BaseException) -> str:
    """Return what failures of one cause have in common: the class and the place, hashed."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return hashlib.sha256(f"{error_class(error)} {place}".encode()).hexdigest()[:16]
