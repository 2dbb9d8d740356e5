"""Notices that connections reach another history of the database than before.

Histories differ after an asynchronous standby was promoted and after a restore: events that were
committed before may be gone. A fail-over ends all connections, so each new one is compared with
those before it. The relay depends on what the database has stored, and checks it after a change.
"""

import asyncio
import logging
from typing import Any, NamedTuple

import asyncpg

log = logging.getLogger(__name__)

_POSITION = """
    SELECT (pg_catalog.pg_control_system()).system_identifier AS system,
           pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
               AS timeline,
           (pg_catalog.pg_current_wal_lsn() - '0/0')::int8 AS written
"""
_UNKNOWN_POSITION = (
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
)
"""A standby has no position that it writes, and some managed servers tell none."""
OBSERVE_SECONDS = 5.0
"""How long new connections wait, in all, for a server that accepts them and does not answer."""


class WalPosition(NamedTuple):
    """A place in the write-ahead log of a cluster.

    A promoted standby has another `timeline`; a database that was set back from a copy of its
    files has written fewer bytes than before.
    """

    system: int
    timeline: str
    written: int

    def continues(self, earlier: "WalPosition") -> bool:
        """Tell whether everything that was stored at *earlier* is stored here."""
        return self[:2] == earlier[:2] and self.written >= earlier.written


async def fetch_position(connection: Any) -> WalPosition | None:
    """Return how far the server behind *connection* has written; None if it does not tell.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError: *connection* is lost.
    """
    try:
        return WalPosition(*await connection.fetchrow(_POSITION))
    except _UNKNOWN_POSITION:
        return None


class ServerHistory:
    """Counts how often new connections may have reached another history of the database."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self.change_count = 0
        self._last: WalPosition | None = None
        self._is_unknown = False
        # One position at a time: of two that are read together, the smaller may arrive later.
        self._reading = asyncio.Lock()

    async def observe(self, connection: Any) -> bool:
        """Return whether the new *connection* reaches another history than the one before it.

        If that is not known, as for a server that does not tell its position, it counts as a
        change and False is returned.

        Raises:
            TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: *connection* is unusable.
        """
        async with asyncio.timeout(OBSERVE_SECONDS), self._reading:
            position = await fetch_position(connection)
        was_unknown, self._is_unknown = self._is_unknown, position is None
        if position is None:
            self.change_count += 1
            if not was_unknown:
                log.warning("database.position_unknown")
            return False
        # The last one that is known: what was asked during a fail-over may have no answer.
        last, self._last = self._last, position
        if last is None or position.continues(last):
            self.change_count += was_unknown or last is None
            return False
        self.change_count += 1
        log.warning(
            "database.history_changed",
            extra={"timeline": position.timeline, "timeline_before": last.timeline},
        )
        return True
