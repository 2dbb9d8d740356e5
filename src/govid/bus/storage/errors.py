"""Classifies the errors of PostgreSQL and its drivers, and computes backoff.

This is the one place that judges SQLSTATEs (PostgreSQL documentation, appendix A). Others ask
`classify` or one of the questions built on it, and catch `DATABASE_UNAVAILABLE` where a worker has
to go on whatever the database does.

SQLAlchemy's errors are known by the names of their classes: importing it takes a command longer
than all that the command does (I13).
"""

import hashlib
import random
import traceback
from collections.abc import Iterator, Mapping
from enum import Enum, auto

import asyncpg

DRIVER_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What the driver raises when the database fails a statement or a connection attempt.

For what speaks to the driver itself, as commands do. `DATABASE_UNAVAILABLE` has SQLAlchemy's too.
"""


class DatabaseFault(Enum):
    """What a failed statement says about the database rather than about the statement."""

    CONNECTION_LOST = auto()
    """The connection is gone, or leads to a server that accepts no writes. It must be discarded."""
    OUT_OF_RESOURCES = auto()
    """The server or a pool is full, or did not answer in time. The same may succeed later."""
    CONFLICT = auto()
    """Another transaction or a schema change was in the way. The same succeeds at once, usually."""
    ACCESS_REFUSED = auto()
    """The server does not let this role or database name in."""


# Whole classes first; single states win over their class.
_CLASSES: Mapping[str, DatabaseFault] = {
    "08": DatabaseFault.CONNECTION_LOST,
    "28": DatabaseFault.ACCESS_REFUSED,
    "40": DatabaseFault.CONFLICT,
    "53": DatabaseFault.OUT_OF_RESOURCES,
    "57": DatabaseFault.CONNECTION_LOST,
    "58": DatabaseFault.OUT_OF_RESOURCES,
}
_STATES: Mapping[str, DatabaseFault] = {
    # A server that became a standby, or was made read-only, keeps its old sessions.
    "25006": DatabaseFault.CONNECTION_LOST,
    # The server has ended the session of a transaction that idled or lasted too long.
    "25P03": DatabaseFault.CONNECTION_LOST,
    "25P04": DatabaseFault.CONNECTION_LOST,
    # A prepared statement that the driver has made is gone: the session behind it is another one.
    "26000": DatabaseFault.CONNECTION_LOST,
    "3D000": DatabaseFault.ACCESS_REFUSED,
    # Whether the transaction took place is not known: nobody may simply run it again.
    "40003": DatabaseFault.CONNECTION_LOST,
    "55P03": DatabaseFault.CONFLICT,
    # statement_timeout, or an operator who cancelled the statement.
    "57014": DatabaseFault.OUT_OF_RESOURCES,
}
# Data exceptions, and values beyond a limit of the server.
_REFUSED_CONTENT = ("22", "54")
MOST_FRAMES = 12
_STALE_PLANS = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


def classify(error: BaseException | None) -> DatabaseFault | None:
    """Return what *error* says about the database, or None if it is about something else.

    The driver's error stands at the end of a chain: SQLAlchemy wraps it twice.
    """
    # SQLAlchemy's copy of a stale plan has the SQLSTATE of many other errors.
    if any(isinstance(one, _STALE_PLANS) for one in _chain(error)):
        return DatabaseFault.CONFLICT
    for one in _chain(error):
        if is_of_sqlalchemy(one, "DBAPIError") and getattr(one, "connection_invalidated", False):
            return DatabaseFault.CONNECTION_LOST
        if is_of_sqlalchemy(one, "TimeoutError"):
            return DatabaseFault.OUT_OF_RESOURCES
        if isinstance(state := getattr(one, "sqlstate", None), str):
            return _STATES.get(state) or _CLASSES.get(state[:2])
        if isinstance(one, (asyncpg.InterfaceError, asyncpg.InternalClientError)):
            # A broken connection may leave the driver in any state; those of its errors that are
            # ValueErrors too tell of a parameter that does not fit.
            return None if isinstance(one, ValueError) else DatabaseFault.CONNECTION_LOST
        # A socket's errors count by themselves, or where SQLAlchemy says that they are the
        # database's. As the cause of another error they may come from anywhere.
        if one is error or is_of_sqlalchemy(error, "DBAPIError"):
            if isinstance(one, TimeoutError):
                return DatabaseFault.OUT_OF_RESOURCES
            if isinstance(one, ConnectionError):
                return DatabaseFault.CONNECTION_LOST
    return None


def is_of_sqlalchemy(error: BaseException | None, name: str) -> bool:
    """Tell whether *error* is of the class *name* of `sqlalchemy.exc`, or of one below it."""
    return any(
        kind.__name__ == name and kind.__module__ == "sqlalchemy.exc"
        for kind in type(error).__mro__
    )


def original(error: BaseException) -> BaseException | None:
    """Return the driver's error that SQLAlchemy has wrapped in *error*, None if it wraps none."""
    return getattr(error, "orig", None) if is_of_sqlalchemy(error, "DBAPIError") else None


def is_unavailable(error: BaseException | None) -> bool:
    """Tell whether *error* means that the database cannot serve this request now.

    Any failure of a socket counts: a request that fails by one reads nothing but the database.
    """
    return classify(error) is not None or any(isinstance(one, OSError) for one in _chain(error))


def is_not_storable(error: BaseException) -> bool:
    """Tell whether the database refuses the content of a row: no second attempt changes that."""
    return (sqlstate(error) or "").startswith(_REFUSED_CONTENT)


def is_statement_timeout(error: BaseException) -> bool:
    """Tell whether a statement was given up because it took too long, by the server or the driver.

    To the driver a server that does not answer at all is the same.
    """
    return isinstance(error, TimeoutError) or sqlstate(error) == "57014"


def is_transient(error: BaseException) -> bool:
    """Tell whether *error* says nothing about the event that was being handled.

    A lost connection, a deadlock, a full pool: the same delivery is simply tried again, and none
    of its attempts is spent.
    """
    return classify(error) is not None


def sqlstate(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of *error*, or of what caused it."""
    for one in _chain(error):
        if isinstance(state := getattr(one, "sqlstate", None), str):
            return state
    return None


def error_members(error: BaseException) -> dict[str, str]:
    """Return what a log line may hold of *error*: its class and its SQLSTATE, never its text."""
    state = sqlstate(error)
    members = {"error_class": error_class(error)}
    return members if state is None else {**members, "sqlstate": state}


def error_details(error: BaseException) -> dict[str, str]:
    """Return `error_members` of *error*, the violated constraint, and where it was raised.

    Frames are those of no library, and the last one, the innermost first: file, line and
    function, never a value or a message.
    """
    details = error_members(error)
    for one in _chain(error):
        if isinstance(name := getattr(one, "constraint_name", None), str):
            details["constraint"] = name
            break
    frames = traceback.extract_tb(error.__traceback__)
    shown = [frame for frame in frames[:-1] if not _is_foreign(frame.filename)] + frames[-1:]
    if shown:
        details["frames"] = " < ".join(
            f"{_short(frame.filename)}:{frame.lineno} {frame.name}"
            for frame in reversed(shown[-MOST_FRAMES:])
        )
    return details


def _is_foreign(filename: str) -> bool:
    """Tell whether *filename* is a library's or Python's own."""
    return "/site-packages/" in filename or "/lib/python" in filename


def _short(filename: str) -> str:
    """Return *filename* from its package on."""
    for marker in ("/site-packages/", "/src/", "/lib/"):
        _, found, rest = filename.rpartition(marker)
        if found:
            return rest
    return filename.rpartition("/")[2]


def error_class(error: BaseException) -> str:
    """Return the dotted name of *error*'s class: all that may be kept of it, as texts leak (I9)."""
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def fingerprint(error: BaseException) -> str:
    """Return what failures of one cause have in common: the class and the place, hashed."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return hashlib.sha256(f"{error_class(error)} {place}".encode()).hexdigest()[:16]


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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what caused it, the driver's own error of a SQLAlchemy error first."""
    while error is not None:
        yield error
        error = original(error) or error.__cause__
