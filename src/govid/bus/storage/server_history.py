"""Compares the server of each new connection with those that earlier connections have reached.

Histories differ after a standby was promoted and after a restore: events that were committed before
may be gone. A fail-over ends all connections, so each new one is compared with those before it. The
relay depends on what the database has stored, and checks it after a change.

A primary that was replaced may return beside its successor and accept writes, too. All connections
of a process share one history, so none of them goes back to it.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakMethod, WeakValueDictionary

import asyncpg

log = logging.getLogger(__name__)

OBSERVE_SECONDS = 5.0
"""How long a new connection waits for a server that accepts it and does not answer."""

_STARTED_AT = "SELECT pg_catalog.pg_postmaster_start_time()"
_POSITION = """
    SELECT (pg_catalog.pg_control_system()).system_identifier AS system,
           pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
               AS timeline,
           (pg_catalog.pg_current_wal_lsn() - '0/0')::int8 AS written
    WHERE NOT pg_catalog.pg_is_in_recovery()
"""
"""No row from a standby, which has no position that it writes."""
_POSITION_REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
    # A standby that was asked in the moment of its promotion.
    asyncpg.ObjectNotInPrerequisiteStateError,
)
"""Some managed servers tell no position."""

Host = tuple[str, int | None]
_histories: "WeakValueDictionary[str, ServerHistory]" = WeakValueDictionary()


class ServerReplaced(ConnectionError):
    """A server accepts writes although another one was promoted in its place."""


class WalPosition(NamedTuple):
    """A place in the write-ahead log of a cluster.

    A promoted standby has another `timeline`, of a higher number in hexadecimal digits; a database
    that was set back from a copy of its files has written fewer bytes than before.
    """

    system: int
    timeline: str
    written: int

    def is_beside(self, other: "WalPosition") -> bool:
        """Tell whether both are positions of one server, or of a copy of its files."""
        return self[:2] == other[:2]

    def is_set_back_from(self, earlier: "WalPosition | None") -> bool:
        """Tell whether what was stored at *earlier* is missing in a copy of its server's files."""
        return earlier is not None and self.is_beside(earlier) and self.written < earlier.written

    def was_replaced_by(self, other: "WalPosition") -> bool:
        """Tell whether the server of *other* was promoted in place of the one of this position."""
        return self.system == other.system and self.timeline < other.timeline


async def fetch_position(connection: Any) -> WalPosition | None:
    """Return how far the server behind *connection* has written; None if it does not tell.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError: *connection* is lost.
    """
    try:
        row = await connection.fetchrow(_POSITION)
    except _POSITION_REFUSED:
        return None
    return None if row is None else WalPosition(*row)


class ServerHistory:
    """The servers that the connections of one process to one URL have reached."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self.change_count = 0
        """How often a new connection may have reached another history of the database."""
        self.last_host: Host | None = None
        """The host of the last usable connection."""
        self._last: WalPosition | None = None
        self._is_position_known = False
        self._started_at: datetime | None = None
        self._listeners: list[WeakMethod[Callable[[], object]]] = []

    @classmethod
    def of_url(cls, database_url: str) -> "ServerHistory":
        """Return the history that all connections of this process to *database_url* share."""
        return _histories.setdefault(database_url, cls())

    def on_change(self, listener: Callable[[], object]) -> None:
        """Call *listener*, a method, whenever older connections may lead to another history."""
        self._listeners.append(WeakMethod(listener))

    async def observe(self, connection: Any, host: Host | None) -> None:
        """Compare the server of the new *connection*, at *host*, with those before it.

        Raises:
            ServerReplaced: another server was promoted in its place.
            TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: *connection* is unusable.
        """
        # Of two positions that are read together, the earlier one may arrive later.
        before = self._last
        async with asyncio.timeout(OBSERVE_SECONDS):
            position = await fetch_position(connection)
            started_at = await connection.fetchval(_STARTED_AT)
        if self._is_changed(position, started_at, before):
            self.change_count += 1
        self.last_host = host

    def _is_changed(
        self, position: WalPosition | None, started_at: datetime, before: WalPosition | None
    ) -> bool:
        """Store position and start time of a server; return whether its history is another one.

        *before* was known when the server was asked. Without a position a server counts as another
        one if it was started at another time.
        """
        last = self._last
        if position is not None and last is not None and position.was_replaced_by(last):
            raise ServerReplaced(
                f"it is on timeline {int(position.timeline, 16)}, and a server on timeline "
                f"{int(last.timeline, 16)} has replaced it; restart govid if it was restored"
            )
        was_known, self._is_position_known = self._is_position_known, position is not None
        last_start, self._started_at = self._started_at, started_at
        is_restarted = not was_known and last_start != started_at
        if position is None:
            return last_start != started_at
        if last is None:
            self._last = position
            return is_restarted
        if position.is_beside(last) and not position.is_set_back_from(before):
            self._last = max(last, position)
            return is_restarted
        self._last = position
        log.warning(
            "database.history_changed",
            extra={"timeline": position.timeline, "timeline_before": last.timeline},
        )
        for reference in self._listeners:
            if listener := reference():
                listener()
        return True
