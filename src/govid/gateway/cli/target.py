"""Finds the installation (server, database, Kafka) that a command works on, and connects to it.

The settings come first. Without them a command uses the backends of `govid dev`, whose addresses
are stored in its folder.

Database errors become a message, a remedy and an exit code. Neither SQL nor parameters reach the
terminal, because parameters hold personal data. Names of tables, schemas and functions are not
personal, so a missing privilege is named with its object.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.storage.connection import (
    TRUSTED_SEARCH_PATH,
    ConnectionFactory,
    DatabaseUnreachable,
    InvalidConnectionUrl,
)
from govid.bus.storage.connection_failures import REFUSALS, describe_login_refusal
from govid.bus.storage.errors import DRIVER_ERRORS, driver_error, is_sqlalchemy_error
from govid.gateway.checks.database_hosts import inspect_hosts, primary_problems
from govid.gateway.cli.errors import BackendUnreachable, CommandError, CommandRefused, InvalidUsage
from govid.gateway.dev.state import RunningServer, StateFolder
from govid.gateway.schema_version import head_revision, read_version
from govid.gateway.settings import Settings, SettingsError, load_from_environment

if TYPE_CHECKING:
    from govid.bus.kafka.clients import KafkaClientFactory

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
    if state[:2] == "28":
        remedy = f"Correct {_WHERE}, the role, or pg_hba.conf."
        return BackendUnreachable(f"{describe_login_refusal(message)}.", remedy)
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


_START_REMEDY = "Start one with `govid dev`, or set "


class Installation(RedactedStruct, frozen=True, kw_only=True):
    """The backends that a command works on. `running` is the server of `govid dev`, if any."""

    settings: Settings
    running: RunningServer | None
    database_url: str
    kafka_bootstrap_servers: str

    @property
    def kafka_clients(self) -> "KafkaClientFactory":
        """The factory of clients for this Kafka; a running `govid dev` has one without TLS."""
        from govid.bus.kafka.clients import KafkaClientFactory  # noqa: PLC0415 - slow (I13)

        is_configured = self.kafka_bootstrap_servers == self.settings.bus.kafka_bootstrap_servers
        return KafkaClientFactory(
            self.kafka_bootstrap_servers,
            self.settings.bus.kafka_security if is_configured else None,
        )

    @property
    def is_demonstration(self) -> bool:
        """Whether this is the database of `govid dev`, which holds no real personal data."""
        return self.running is not None and self.database_url == self.running.database_url


def load_settings(
    overrides: Mapping[str, object] | None = None, *, demonstration: bool = False
) -> Settings:
    """Load the settings.

    Raises:
        InvalidUsage: they cannot be read; the message names all faults.
    """
    try:
        return load_from_environment(overrides, demonstration=demonstration)
    except SettingsError as error:
        raise InvalidUsage(
            "the settings cannot be read:\n" + "\n".join(f"  - {one}" for one in error.problems),
            "`govid config example` lists every setting.",
        ) from error


def find_installation() -> Installation:
    """Return the installation that the settings, or else a running `govid dev`, name."""
    settings = load_settings()
    running = StateFolder(settings.data_dir).find_running_server()
    return Installation(
        settings=settings,
        running=running,
        database_url=settings.bus.database_url or (running.database_url if running else ""),
        kafka_bootstrap_servers=settings.bus.kafka_bootstrap_servers
        or (running.kafka_bootstrap_servers if running else ""),
    )


@asynccontextmanager
async def connect_to_database(installation: Installation) -> AsyncIterator[Any]:
    """Open one connection to the database (`asyncpg.Connection`, which carries no types).

    Raises:
        BackendUnreachable: no database is configured, or it does not answer.
        CommandRefused: two hosts of the URL accept writes, so each command would find only a part.
        InvalidUsage: the database URL cannot be used.
    """
    if not installation.database_url:
        raise BackendUnreachable(
            "no database is configured.", f"{_START_REMEDY}GOVID_DATABASE_URL."
        )
    try:
        connection = await ConnectionFactory(
            installation.database_url,
            application="govid command",
            # An operator's statement may read a day of events. It ends when its client ends.
            settings={
                **TRUSTED_SEARCH_PATH,
                "statement_timeout": "10min",
                "client_connection_check_interval": "2s",
                "idle_in_transaction_session_timeout": "1min",
            },
        ).connect()
    except InvalidConnectionUrl as error:
        raise InvalidUsage(
            "GOVID_DATABASE_URL cannot be used:\n"
            + "\n".join(f"  - {one}" for one in error.problems)
        ) from error
    except DatabaseUnreachable as error:
        raise BackendUnreachable(
            f"{error}.", f"Is it running, and {_name_settings(installation)} right?"
        ) from error
    except DRIVER_ERRORS as error:
        raise explain_database_error(error) or BackendUnreachable(
            "the database does not answer as PostgreSQL does.",
            f"Is it running, and {_name_settings(installation)} right? `govid check` shows more.",
        ) from error
    try:
        for problem in primary_problems(await inspect_hosts(installation.database_url)):
            raise CommandRefused(f"{problem}.", "`govid check` shows the state of each host.")
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def connect_at_current_schema(installation: Installation) -> AsyncIterator[Any]:
    """Connect to the database and check that this release runs on its schema.

    Raises:
        CommandRefused: the schema is too old or too new; nothing has been changed.
        BackendUnreachable: the database does not answer.
    """
    async with connect_to_database(installation) as connection:
        version = await read_version(connection)
        if version.state == "behind":
            raise CommandRefused(
                f"the database is at migration {version.revision or 'none'}, and this release "
                f"requires {head_revision()}; nothing was changed.",
                "`govid migrate` upgrades it.",
            )
        if fault := version.explain_mismatch():
            raise CommandRefused(f"{fault}; nothing was changed.")
        yield connection


def _name_settings(installation: Installation) -> str:
    """Return the names of the settings of the database address, with a verb before them."""
    sources = {row.name: row.source for row in installation.settings.table}
    is_old = sources["GOVID_DATABASE_URL"] == "default" and sources["DB_HOST"] != "default"
    return "are DB_HOST and DB_PORT" if is_old else "is GOVID_DATABASE_URL"


async def explain_kafka_outage(installation: Installation, remedy: str = "") -> BackendUnreachable:
    """Return the error for a Kafka that does not answer; *remedy* is added to the usual one."""
    if not installation.kafka_bootstrap_servers:
        return BackendUnreachable("no Kafka is configured.", "Set GOVID_KAFKA_BOOTSTRAP_SERVERS.")
    from govid.bus.kafka.outage import describe_outage  # noqa: PLC0415 - slow (I13)

    description = await describe_outage(installation.kafka_clients)
    return BackendUnreachable(
        f"{description}.", f"Is GOVID_KAFKA_BOOTSTRAP_SERVERS right? {remedy}".rstrip()
    )
