"""Finds the installation (server, database, Kafka) that a command works on, and connects to it.

The settings come first. Without them a command uses the backends of `govid dev`, whose addresses
are stored in its folder.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from govid.bus.storage.connection import (
    ConnectionFactory,
    DatabaseUnreachable,
    InvalidConnectionUrl,
)
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.cli.database_errors import explain_database_error
from govid.gateway.cli.errors import BackendUnreachable, InvalidUsage
from govid.gateway.devserver.state import RunningServer, StateFolder
from govid.gateway.kafka_addresses import describe_unreachable
from govid.gateway.settings import Settings, SettingsError, load

_START_ONE = "Start one with `govid dev`, or set "


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """The backends that a command works on. `running` is the server of `govid dev`, if any."""

    settings: Settings
    running: RunningServer | None
    database_url: str
    kafka_bootstrap_servers: str

    @property
    def is_demonstration(self) -> bool:
        """Whether this is the database of `govid dev`, which holds no real personal data."""
        return self.running is not None and self.database_url == self.running.database_url

    def __repr__(self) -> str:
        """Show nothing: URLs may hold passwords (I9)."""
        return "<Target>"


def load_settings(
    overrides: Mapping[str, object] | None = None, *, demonstration: bool = False
) -> Settings:
    """Load the settings.

    Raises:
        InvalidUsage: they cannot be read; the message names all faults.
    """
    try:
        return load(overrides, demonstration=demonstration)
    except SettingsError as error:
        raise InvalidUsage(
            "the settings cannot be read:\n" + "\n".join(f"  - {one}" for one in error.faults),
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
        InvalidUsage: the database URL cannot be used.
    """
    if not installation.database_url:
        raise BackendUnreachable("no database is configured.", f"{_START_ONE}GOVID_DATABASE_URL.")
    try:
        connection = await ConnectionFactory(
            installation.database_url,
            application="govid command",
            # An operator's statement may read a day of events. It ends when its client ends.
            settings={
                "statement_timeout": "10min",
                "client_connection_check_interval": "2s",
                "idle_in_transaction_session_timeout": "1min",
            },
        ).connect()
    except InvalidConnectionUrl as error:
        raise InvalidUsage(
            "GOVID_DATABASE_URL cannot be used:\n" + "\n".join(f"  - {one}" for one in error.faults)
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
        yield connection
    finally:
        await connection.close()


def _name_settings(installation: Installation) -> str:
    """Return the names of the settings of the database address, with a verb before them."""
    sources = {row.name: row.source for row in installation.settings.table}
    is_old = sources["GOVID_DATABASE_URL"] == "default" and sources["DB_HOST"] != "default"
    return "are DB_HOST and DB_PORT" if is_old else "is GOVID_DATABASE_URL"


async def explain_kafka_outage(installation: Installation, remedy: str = "") -> BackendUnreachable:
    """Return the error for a Kafka that does not answer; *remedy* is added to the usual one."""
    if not installation.kafka_bootstrap_servers:
        return BackendUnreachable("no Kafka is configured.", "Set GOVID_KAFKA_BOOTSTRAP_SERVERS.")
    description = await describe_unreachable(installation.kafka_bootstrap_servers)
    return BackendUnreachable(
        f"{description}.", f"Is GOVID_KAFKA_BOOTSTRAP_SERVERS right? {remedy}".rstrip()
    )
