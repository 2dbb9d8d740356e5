"""Says in words why no connection to PostgreSQL was possible, and logs it while govid runs.

`govid check`, all commands and a running server use the same sentences. They name hosts and
reasons, and contain no value of the URL besides.
"""

import logging
from collections.abc import Mapping
from time import monotonic

from govid.bus.storage.connection import DatabaseUnreachable

log = logging.getLogger(__name__)

QUIET_SECONDS = 3.0
"""How long no attempt may have failed before the database counts as available again."""

REFUSALS: Mapping[str, str] = {
    "28": "the database refuses this role or its password",
    "3D": "the database does not exist",
    "53": "the database is short of memory, disk or connections",
    "57": "the database is shutting down or starting",
}
"""Why a server refuses a connection, by the class of its SQLSTATE."""

_LOGIN_REFUSALS: Mapping[str, str] = {
    "valid client certificate": (
        "the database demands a client certificate: name its files in GOVID_DATABASE_URL as "
        "sslcert and sslkey"
    ),
    "certificate authentication failed": (
        "the database does not accept the client certificate for this role: its common name has "
        "to be the name of the role, unless pg_ident.conf maps it"
    ),
    "no encryption": (
        "the database accepts no unencrypted connection: set sslmode=verify-full in "
        "GOVID_DATABASE_URL"
    ),
    "pg_hba.conf": (
        "pg_hba.conf of the database does not admit this role to this database from this address"
    ),
}


def describe_connection_error(error: BaseException) -> str:
    """Return why *error*, raised by `ConnectionFactory.connect`, kept it from connecting."""
    if isinstance(error, DatabaseUnreachable):
        return str(error)
    state = getattr(error, "sqlstate", None)
    if state is None:
        return "the database does not answer as PostgreSQL does"
    if state[:2] == "28":
        return describe_login_refusal(str(error))
    return REFUSALS.get(state[:2]) or f"the database refuses the connection (SQLSTATE {state})"


def describe_login_refusal(message: str) -> str:
    """Return why the server refuses a login, from its *message*, which must not be shown.

    A server that answers in another language gives the general reason.
    """
    for part, reason in _LOGIN_REFUSALS.items():
        if part in message:
            return reason
    return REFUSALS["28"]


class OutageLog:
    """Logs why the connections of one process to the database fail, each reason once an outage."""

    def __init__(self) -> None:
        """Start with a database that is available."""
        self._reasons: set[str] = set()
        self._failed_at = self._connected_at = 0.0

    def note_attempt(self, error: BaseException | None) -> None:
        """Log the reason of *error*, with which an attempt to connect failed, if it is new."""
        if error is None:
            self._connected_at = monotonic()
            return
        self._failed_at = monotonic()
        reason = describe_connection_error(error)
        if reason not in self._reasons:
            self._reasons.add(reason)
            log.warning("database.outage_explained", extra={"reason": reason})

    def note_renewal(self) -> None:
        """End the outage, if a connection was opened since the last failure, and some time ago.

        To be called from time to time while the database works. A server that is full works for
        the connections that it has, and still refuses others.
        """
        is_over = self._connected_at > self._failed_at
        if self._reasons and is_over and monotonic() - self._failed_at > QUIET_SECONDS:
            self._reasons.clear()
            log.info("database.ok")
