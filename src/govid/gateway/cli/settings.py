"""Which server, database and Kafka a command speaks to.

`govid dev` writes where its backends are into its folder; a command that is told nothing else
finds them there. What the settings name comes first.
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
from govid.gateway.cli.database_errors import explain
from govid.gateway.cli.errors import Unreachable, WrongUsage
from govid.gateway.devserver.state import Running, StateFolder
from govid.gateway.kafka_addresses import describe_silence
from govid.gateway.settings import Settings, SettingsError, load

NOBODY = "Start one with `govid dev`, or set "


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a command speaks to. `running` is the server of `govid dev`, if one runs here."""

    settings: Settings
    running: Running | None
    database_url: str
    kafka_bootstrap_servers: str

    @property
    def is_demonstration(self) -> bool:
        """Whether this is the data of `govid dev`, which holds nobody's real data."""
        return self.running is not None and self.database_url == self.running.database_url

    def __repr__(self) -> str:
        """Show nothing: URLs may hold passwords (I9)."""
        return "<Target>"


def settings_or_exit(
    overrides: Mapping[str, object] | None = None, *, demonstration: bool = False
) -> Settings:
    """Read the settings.

    Raises:
        WrongUsage: they cannot be read; all faults are named at once.
    """
    try:
        return load(overrides, demonstration=demonstration)
    except SettingsError as error:
        raise WrongUsage(
            "the settings cannot be read:\n" + "\n".join(f"  - {one}" for one in error.faults),
            "`govid config example` lists every setting.",
        ) from error


def target() -> Target:
    """Find the database and the Kafka of this folder."""
    settings = settings_or_exit()
    running = StateFolder(settings.data_dir).running()
    return Target(
        settings=settings,
        running=running,
        database_url=settings.bus.database_url or (running.database_url if running else ""),
        kafka_bootstrap_servers=settings.bus.kafka_bootstrap_servers
        or (running.kafka_bootstrap_servers if running else ""),
    )


@asynccontextmanager
async def connected(to: Target) -> AsyncIterator[Any]:
    """Open one connection to the database (`asyncpg.Connection`, which carries no types).

    Raises:
        Unreachable: nobody named a database, or it does not answer.
    """
    if not to.database_url:
        raise Unreachable("no database is known.", f"{NOBODY}GOVID_DATABASE_URL.")
    try:
        connection = await ConnectionFactory(
            to.database_url,
            application="govid command",
            # An operator's statement may read a day of events. It ends with its client.
            settings={
                "statement_timeout": "10min",
                "client_connection_check_interval": "2s",
                "idle_in_transaction_session_timeout": "1min",
            },
        ).open()
    except InvalidConnectionUrl as error:
        raise WrongUsage(
            "GOVID_DATABASE_URL cannot be used:\n" + "\n".join(f"  - {one}" for one in error.faults)
        ) from error
    except DatabaseUnreachable as error:
        raise Unreachable(f"{error}.", f"Is it running, and {_address(to)} right?") from error
    except DRIVER_ERRORS as error:
        raise explain(error) or Unreachable(
            "the database does not answer as PostgreSQL does.",
            f"Is it running, and {_address(to)} right? `govid check` looks closer.",
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


def _address(to: Target) -> str:
    """Return which settings say where the database is, behind their verb."""
    sources = {row.name: row.source for row in to.settings.table}
    is_old = sources["GOVID_DATABASE_URL"] == "default" and sources["DB_HOST"] != "default"
    return "are DB_HOST and DB_PORT" if is_old else "is GOVID_DATABASE_URL"


async def kafka_silence(to: Target, remedy: str = "") -> Unreachable:
    """Return what to raise where Kafka cannot be asked; *remedy* adds to the usual one."""
    if not to.kafka_bootstrap_servers:
        return Unreachable("no Kafka is known.", "Set GOVID_KAFKA_BOOTSTRAP_SERVERS.")
    told = await describe_silence(to.kafka_bootstrap_servers)
    return Unreachable(f"{told}.", f"Is GOVID_KAFKA_BOOTSTRAP_SERVERS right? {remedy}".rstrip())
