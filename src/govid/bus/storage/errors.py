"""Classifies the errors of PostgreSQL and its drivers, and computes the backoff of retries.

This is the only place that interprets SQLSTATEs (PostgreSQL documentation, appendix A). Other code
calls `classify_database_error` or one of the predicates built on it. A worker that has to continue
after any database error catches `DATABASE_UNAVAILABLE` (`workers.py`).

SQLAlchemy's errors are recognised by the names of their classes: to import it would take longer
than most commands run (I13).
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
"""The errors of the driver when a statement or a connection attempt fails in the database.

For code that uses the driver directly, as commands do. `DATABASE_UNAVAILABLE` includes
SQLAlchemy's errors.
"""


class DatabaseFault(Enum):
    """The kind of a failure that is caused by the database and not by the statement."""

    CONNECTION_LOST = auto()
    """The connection is lost, or its server accepts no writes. It must be discarded."""
    OUT_OF_RESOURCES = auto()
    """The server or a pool is full, or did not respond in time. A later retry may succeed."""
    CONFLICT = auto()
    """A conflict with another transaction or a schema change. A retry usually succeeds at once."""
    ACCESS_REFUSED = auto()
    """The server refuses this role or database name."""


# Classes of SQLSTATEs. A single state overrides its class.
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
    # The server has ended the session of a transaction that was idle or lasted too long.
    "25P03": DatabaseFault.CONNECTION_LOST,
    "25P04": DatabaseFault.CONNECTION_LOST,
    # A prepared statement of the driver is missing: the server session behind it has changed.
    "26000": DatabaseFault.CONNECTION_LOST,
    "3D000": DatabaseFault.ACCESS_REFUSED,
    # It is not known whether the transaction committed: it must not be repeated.
    "40003": DatabaseFault.CONNECTION_LOST,
    "55P03": DatabaseFault.CONFLICT,
    # statement_timeout, or an operator who cancelled the statement.
    "57014": DatabaseFault.OUT_OF_RESOURCES,
}
# Data exceptions, and values beyond a limit of the server.
_REFUSED_CONTENT = ("22", "54")
MAX_FRAMES = 12
_STALE_PLANS = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


def classify_database_error(error: BaseException | None) -> DatabaseFault | None:
    """Classify *error*; return None if the database is not its cause.

    The driver's error is at the end of a chain: SQLAlchemy wraps it twice.
    """
    # SQLAlchemy's error of a stale plan has the SQLSTATE of many other errors.
    if any(isinstance(link, _STALE_PLANS) for link in _error_chain(error)):
        return DatabaseFault.CONFLICT
    for link in _error_chain(error):
        if is_sqlalchemy_error(link, "DBAPIError") and getattr(
            link, "connection_invalidated", False
        ):
            return DatabaseFault.CONNECTION_LOST
        if is_sqlalchemy_error(link, "TimeoutError"):
            return DatabaseFault.OUT_OF_RESOURCES
        if isinstance(state := getattr(link, "sqlstate", None), str):
            return _STATES.get(state) or _CLASSES.get(state[:2])
        if isinstance(link, (asyncpg.InterfaceError, asyncpg.InternalClientError)):
            # A broken connection may leave the driver in any state. Errors that are also
            # ValueErrors concern a parameter of a wrong type.
            return None if isinstance(link, ValueError) else DatabaseFault.CONNECTION_LOST
        # A socket's error counts if it is the error itself, or if SQLAlchemy has wrapped it. As the
        # cause of any other error it may come from another connection.
        if link is error or is_sqlalchemy_error(error, "DBAPIError"):
            if isinstance(link, TimeoutError):
                return DatabaseFault.OUT_OF_RESOURCES
            if isinstance(link, ConnectionError):
                return DatabaseFault.CONNECTION_LOST
    return None


def is_sqlalchemy_error(error: BaseException | None, name: str) -> bool:
    """Tell whether *error* is of the class *name* of `sqlalchemy.exc`, or of a subclass."""
    return any(
        kind.__name__ == name and kind.__module__ == "sqlalchemy.exc"
        for kind in type(error).__mro__
    )


def driver_error(error: BaseException) -> BaseException | None:
    """Return the driver's error that SQLAlchemy has wrapped in *error*, None if it wraps none."""
    return getattr(error, "orig", None) if is_sqlalchemy_error(error, "DBAPIError") else None


def is_unavailable(error: BaseException | None) -> bool:
    """Tell whether *error* means that the database cannot serve this request now.

    Any socket error counts: requests that check it use no connection but that to the database.
    """
    return classify_database_error(error) is not None or any(
        isinstance(link, OSError) for link in _error_chain(error)
    )


def is_not_storable(error: BaseException) -> bool:
    """Tell whether the database refuses the content of a row: no retry changes that."""
    return (find_sqlstate(error) or "").startswith(_REFUSED_CONTENT)


def is_statement_timeout(error: BaseException) -> bool:
    """Tell whether the server or the driver has cancelled a statement because it took too long.

    The driver cannot distinguish that from a server that does not respond at all.
    """
    return isinstance(error, TimeoutError) or find_sqlstate(error) == "57014"


def is_transient(error: BaseException) -> bool:
    """Tell whether *error* is independent of the event that was being handled.

    Examples are a lost connection, a deadlock and a full pool: the delivery is retried, and no
    attempt is spent.
    """
    return classify_database_error(error) is not None


def find_sqlstate(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of *error*, or of what caused it."""
    for link in _error_chain(error):
        if isinstance(state := getattr(link, "sqlstate", None), str):
            return state
    return None


def error_members(error: BaseException) -> dict[str, str]:
    """Return the log members of *error*: its class and its SQLSTATE, never its text."""
    state = find_sqlstate(error)
    members = {"error_class": error_class_name(error)}
    return members if state is None else {**members, "sqlstate": state}


def error_details(error: BaseException) -> dict[str, str]:
    """Return `error_members` of *error*, the violated constraint, and where it was raised.

    Frames of libraries are left out, except the innermost frame. Each has its file, line and
    function, the innermost first, but never a value or a message.
    """
    details = error_members(error)
    for link in _error_chain(error):
        if isinstance(name := getattr(link, "constraint_name", None), str):
            details["constraint"] = name
            break
    frames = traceback.extract_tb(error.__traceback__)
    shown = [frame for frame in frames[:-1] if not _is_library_file(frame.filename)] + frames[-1:]
    if shown:
        details["frames"] = " < ".join(
            f"{_shorten_path(frame.filename)}:{frame.lineno} {frame.name}"
            for frame in reversed(shown[-MAX_FRAMES:])
        )
    return details


def _is_library_file(filename: str) -> bool:
    """Tell whether *filename* is a library's or Python's own."""
    return "/site-packages/" in filename or "/lib/python" in filename


def _shorten_path(filename: str) -> str:
    """Return *filename* from its package on."""
    for marker in ("/site-packages/", "/src/", "/lib/"):
        _, found, rest = filename.rpartition(marker)
        if found:
            return rest
    return filename.rpartition("/")[2]


def error_class_name(error: BaseException) -> str:
    """Return the dotted name of *error*'s class.

    The text of an error is never kept, because it may quote personal data (I9).
    """
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def compute_fingerprint(error: BaseException) -> str:
    """Return a hash of what failures with one cause have in common: their class and place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return hashlib.sha256(f"{error_class_name(error)} {place}".encode()).hexdigest()[:16]


def backoff(attempts: int, limit_seconds: float) -> float:
    """Return for how many seconds to wait after *attempts* failures: 1, 2, 4 .. up to the limit.

    Up to a quarter is subtracted at random (jitter), so that keys which failed together are not
    retried together.
    """
    return _apply_jitter(min(float(2 ** min(attempts - 1, 30)), limit_seconds))


def outage_backoff(elapsed_seconds: float, limit_seconds: float) -> float:
    """Return the backoff, in seconds, after *elapsed_seconds* of an outage.

    The backoff equals the time since the outage began. So it doubles without a counter of
    attempts: an outage spends none.
    """
    return _apply_jitter(min(max(elapsed_seconds, 1.0), limit_seconds))


def _apply_jitter(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.0)  # noqa: S311 - not a secret


def _error_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what caused it, the driver's own error of a SQLAlchemy error first.

    Each once: an error may be its own cause, after `raise error from error`.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = driver_error(error) or error.__cause__
