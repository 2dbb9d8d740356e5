"""Runs `govid dev` once its backends are started: migrates, seeds, serves, prints the panel."""

import asyncio
import os
import shutil
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import click
import msgspec
from sqlalchemy import make_url

from govid import __version__
from govid.bus.kafka.outage import explain_outage
from govid.gateway.app import create_app
from govid.gateway.checks.settings import invalid_origin_problems, secret_problems
from govid.gateway.cli.errors import CommandRefused
from govid.gateway.cli.migrate import apply_migrations, apply_privileges
from govid.gateway.cli.output import Output, print_note
from govid.gateway.cli.serving.listening import format_listener_url
from govid.gateway.cli.serving.uvicorn_server import run_server
from govid.gateway.cli.target import Installation, connect_to_database
from govid.gateway.dev.backends import (
    DatabaseOrigin,
    EmbeddedBackends,
    get_database_origin,
    mark_database,
)
from govid.gateway.dev.people import STANDARD_PEOPLE
from govid.gateway.dev.seed import hash_password, seed_people
from govid.gateway.dev.start_panel import StartPanel, render_panel
from govid.gateway.dev.state import DevState, RunningServer, StateFolder
from govid.gateway.settings import Settings

_FOREIGN_DATABASE = (
    "GOVID_DATABASE_URL names a database that `govid dev` has not created. Synthetic people could "
    "sign in there, simulated departments would verify real people, and a death would be reported."
)
_FOREIGN_DATABASE_REMEDY = (
    "Name a new, empty database, or none to use the embedded one. GOVID_ALLOW_SIMULATORS=true "
    "permits all of this on your database."
)


class DevRun:
    """One run of `govid dev` after its backends were started."""

    def __init__(
        self,
        settings: Settings,
        backends: EmbeddedBackends,
        folder: StateFolder,
        state: DevState,
        listener: socket.socket,
        started_at: float,
        output: Output,
    ) -> None:
        """Serve on *listener*. The command started at *started_at*, on the monotonic clock."""
        self._settings = settings
        self._backends = backends
        self._folder = folder
        self._state = state
        self._listener = listener
        self._started_at = started_at
        self._output = output

    def run(self, *, seeded: bool) -> None:
        """Migrate, seed and serve until Ctrl-C; meanwhile the folder holds all addresses."""
        installation = Installation(
            settings=self._settings,
            running=None,
            database_url=self._settings.bus.database_url,
            kafka_bootstrap_servers=self._settings.bus.kafka_bootstrap_servers,
        )
        for notice in self._settings.notices:
            print_note(f"warning: {notice}.")
        for fault in (*secret_problems(self._settings), *invalid_origin_problems(self._settings)):
            print_note(f"warning: {fault}; `govid serve` refuses it.")
        is_guarded = self._backends.postgres is None and not self._settings.allow_simulators
        version, origin = asyncio.run(_inspect_database(installation))
        if is_guarded and origin is DatabaseOrigin.FOREIGN:
            raise CommandRefused(_FOREIGN_DATABASE, _FOREIGN_DATABASE_REMEDY)
        apply_migrations(installation)
        asyncio.run(apply_privileges(installation))
        if is_guarded and origin is DatabaseOrigin.NEW:
            asyncio.run(_mark_database(installation))
        if seeded:
            asyncio.run(_seed(installation, self._state.password))
        if self._backends.kafka is None and (
            why := asyncio.run(explain_outage(installation.kafka_clients))
        ):
            print_note(
                f"warning: no Kafka answers at {why}: events stay in the outbox until it does "
                "(GOVID_KAFKA_BOOTSTRAP_SERVERS)."
            )
        running = RunningServer(
            pid=os.getpid(),
            url=format_listener_url(self._listener),
            database_url=installation.database_url,
            kafka_bootstrap_servers=installation.kafka_bootstrap_servers,
            kafka_in_memory=self._backends.kafka is not None,
            started_at=datetime.now(UTC),
        )

        def ready() -> None:
            self._folder.write(msgspec.structs.replace(self._state, running=running))
            self._show(running, version, seeded=seeded)

        try:
            run_server(create_app(self._settings), self._listener, ready)
        finally:
            self._folder.write(self._state)

    def _show(self, running: RunningServer, version: str, *, seeded: bool) -> None:
        hmrc = self._settings.hmrc
        death = hmrc if hmrc.simulate_death else None
        panel = StartPanel(
            version=__version__,
            ready_seconds=round(time.monotonic() - self._started_at, 2),
            service=running.url,
            api_docs=f"{running.url}/docs",
            openapi=f"{running.url}/openapi.json",
            health=f"{running.url}/health",
            jwks=f"{running.url}/.well-known/jwks.json",
            inbox=f"{running.url}/dev/inbox" if self._settings.identity.mail.folder else None,
            postgres=unquote(make_url(running.database_url).render_as_string(hide_password=True)),
            postgres_version=version,
            postgres_embedded=self._backends.postgres is not None,
            kafka=running.kafka_bootstrap_servers,
            kafka_in_memory=running.kafka_in_memory,
            state_file=str(self._folder.file),
            sign_in=[person.email for person in STANDARD_PEOPLE] if seeded else [],
            death_notification_for=death.simulate_death_nino if death else None,
            death_notification_at=(
                datetime.now(UTC) + timedelta(seconds=death.simulate_death_delay_seconds)
                if death
                else None
            ),
        )
        if self._output.as_json:
            self._output.print_document(panel)
        else:
            click.echo(render_panel(panel, self._state.password, _command_line()))


def _command_line() -> str:
    """Return the command line that calls this program from the current folder."""
    return "govid" if shutil.which("govid") else os.path.relpath(sys.argv[0])


async def _inspect_database(installation: Installation) -> tuple[str, DatabaseOrigin]:
    """Return the version of PostgreSQL, and whether `govid dev` created the database.

    Raises:
        BackendUnreachable: the database does not answer.
    """
    async with connect_to_database(installation) as connection:
        version: str = await connection.fetchval("SHOW server_version")
        return version.partition(" ")[0], await get_database_origin(connection)


async def _mark_database(installation: Installation) -> None:
    async with connect_to_database(installation) as connection:
        await mark_database(connection)


async def _seed(installation: Installation, password: str) -> None:
    async with connect_to_database(installation) as connection:
        if await connection.fetchval(
            "SELECT EXISTS (SELECT FROM identity.account WHERE email_canonical = $1)",
            STANDARD_PEOPLE[0].email,
        ):
            return
    async for _ in seed_people(installation.settings.bus, STANDARD_PEOPLE, hash_password(password)):
        pass
