"""Translates database errors into a message, a remedy and an exit code.

Neither SQL nor parameters reach the terminal, because parameters hold personal data. Names of
tables, schemas and functions are not personal, so a missing privilege is named with its object.
"""

import re
from collections.abc import Mapping

import asyncpg

from govid.bus.storage.connection import DatabaseUnreachable
from govid.bus.storage.errors import driver_error, is_sqlalchemy_error
from govid.gateway.cli.errors import BackendUnreachable, CommandError, CommandRefused
from govid.gateway.database_checks import REFUSALS

_DENIED = re.compile(r"permission denied for (?P<kind>[a-z ]+) (?P<name>[\w.$]+)")
_OWNER = re.compile(r"must be owner of (?P<kind>[a-z ]+) (?P<name>[\w.$]+)")
_WHERE = "GOVID_DATABASE_URL"

_STATES: Mapping[str, CommandError] = {
    "25006": BackendUnreachable(
        "the database accepts no writes: it is read-only, or a standby.",
        f"Point {_WHERE} to the primary; with several hosts in it govid finds the primary itself.",
    ),
    "42P01": CommandRefused(
        "the database lacks a table of this release.",
        "`govid migrate` upgrades an older schema; `govid check` names what was removed.",
    ),
    "42703": CommandRefused(
        "the database lacks a column of this release.", "`govid migrate` upgrades the schema."
    ),
    "3F000": CommandRefused(
        "the database lacks a schema of this release.", "`govid migrate` upgrades the schema."
    ),
    "3D000": BackendUnreachable(f"{REFUSALS['3D']}.", f"Create it, or correct {_WHERE}."),
    "53300": BackendUnreachable(
        "the database has no connection left for this command.",
        "Raise max_connections, or lower the pool sizes of the servers.",
    ),
    "53100": BackendUnreachable(
        "the database's disk is full.", "Free disk space on the database server."
    ),
    "55P03": CommandError(
        "another session holds a lock that this command needs; nothing was changed.",
        "Run it again; pg_stat_activity shows sessions that hold locks for long.",
    ),
    "57014": CommandError(
        "a statement exceeded its time limit and was cancelled; nothing was changed.",
        "Select fewer events, for example a shorter time range, and run it again.",
    ),
}
_CLASSES: Mapping[str, CommandError] = {
    "08": BackendUnreachable("the connection to the database was lost.", "Run it again."),
    "28": BackendUnreachable(f"{REFUSALS['28']}.", f"Correct {_WHERE}, or the role."),
    "40": CommandError("the statement conflicted with another transaction.", "Run it again."),
    "53": BackendUnreachable(f"{REFUSALS['53']}.", "Run it later."),
    "57": BackendUnreachable(f"{REFUSALS['57']}.", "Run it again in a moment."),
    "58": BackendUnreachable("the database reports a disk error.", "See the log of the database."),
}


def explain_database_error(error: BaseException) -> CommandError | None:
    """Translate *error* into a command error; None if it is not a database error."""
    if isinstance(error, DatabaseUnreachable):
        return BackendUnreachable(f"{error}.", f"Is it running, and is {_WHERE} right?")
    cause = driver_error(error) or error
    state = getattr(cause, "sqlstate", None) or getattr(error, "sqlstate", None)
    if state is not None:
        return _translate_sqlstate(str(state), str(cause))
    if isinstance(cause, (asyncpg.InterfaceError, asyncpg.InternalClientError)) or (
        is_sqlalchemy_error(cause, "DBAPIError")
    ):
        return _CLASSES["08"]
    if isinstance(cause, asyncpg.PostgresError) or is_sqlalchemy_error(cause, "SQLAlchemyError"):
        return BackendUnreachable("the database did not answer in time.", "Run it again.")
    return None


def _translate_sqlstate(state: str, message: str) -> CommandError:
    if state == "42501":
        return _explain_missing_privilege(message)
    known = _STATES.get(state) or _CLASSES.get(state[:2])
    return known or CommandError(
        f"the database refused a statement (SQLSTATE {state}).",
        "Run again with --debug for the traceback.",
    )


def _explain_missing_privilege(message: str) -> CommandError:
    if found := _OWNER.search(message):
        return CommandError(
            f"the database role is not the owner of {found['kind']} {found['name']}.",
            "Run this command as the owner of govid's tables, or grant the role membership in it.",
        )
    found = _DENIED.search(message)
    what = f"{found['kind']} {found['name']}" if found else "what this command needs"
    # The server does not name the privilege; these are the ones that exist for the object.
    privileges = {"schema": "USAGE or CREATE", "database": "CREATE"}
    privilege = privileges.get(found["kind"], "the privilege") if found else "the privilege"
    return CommandError(
        f"the database role lacks {privilege} on {what}.",
        f"GRANT it to the role of {_WHERE}, or run this command as the owner of govid's tables.",
    )
