"""The demonstration itself: its data brought up to date, then the server, then the panel."""

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
from govid.gateway.app import create_app
from govid.gateway.cli import web
from govid.gateway.cli.errors import Refused
from govid.gateway.cli.listening import url_of
from govid.gateway.cli.migrate import apply
from govid.gateway.cli.output import Output, note
from govid.gateway.cli.settings import Target, connected
from govid.gateway.devserver.backends import Backends
from govid.gateway.devserver.database_mark import Origin, mark, origin_of
from govid.gateway.devserver.panel import Panel, render
from govid.gateway.devserver.people import RESIDENTS
from govid.gateway.devserver.seed import hash_password, seed
from govid.gateway.devserver.state import DevState, Running, StateFolder
from govid.gateway.kafka_addresses import why_nobody_answers
from govid.gateway.setting_checks import secret_faults, unmatched_origins
from govid.gateway.settings import Settings

NOT_OURS = (
    "GOVID_DATABASE_URL names a database that `govid dev` has not made. Made-up people could sign "
    "in there, simulated departments would verify real ones, and a death would be reported."
)
NAME_ANOTHER = (
    "Name a new, empty database, or none: then one is embedded. GOVID_ALLOW_SIMULATORS=true says "
    "that all of this may happen there."
)


class Demonstration:
    """One run of `govid dev`, once its backends are there."""

    def __init__(
        self,
        settings: Settings,
        started: Backends,
        folder: StateFolder,
        state: DevState,
        listener: socket.socket,
        began: float,
        output: Output,
    ) -> None:
        """Serve on *listener*. The command ran at *began*, on the monotonic clock."""
        self._settings = settings
        self._started = started
        self._folder = folder
        self._state = state
        self._listener = listener
        self._began = began
        self._output = output

    def run(self, *, seeded: bool) -> None:
        """Migrate, seed, serve until Ctrl-C; the folder tells meanwhile where everything is."""
        place = Target(
            settings=self._settings,
            running=None,
            database_url=self._settings.bus.database_url,
            kafka_bootstrap_servers=self._settings.bus.kafka_bootstrap_servers,
        )
        for notice in self._settings.notices:
            note(f"warning: {notice}.")
        for fault in (*secret_faults(self._settings), *unmatched_origins(self._settings)):
            note(f"warning: {fault}; `govid serve` refuses it.")
        is_guarded = self._started.postgres is None and not self._settings.allow_simulators
        version, origin = asyncio.run(_looked_at(place))
        if is_guarded and origin is Origin.FOREIGN:
            raise Refused(NOT_OURS, NAME_ANOTHER)
        apply(place)
        if is_guarded and origin is Origin.NEW:
            asyncio.run(_marked(place))
        if seeded:
            asyncio.run(_seed(place, self._state.password))
        if self._started.kafka is None and (
            why := asyncio.run(why_nobody_answers(place.kafka_bootstrap_servers))
        ):
            note(
                f"warning: no Kafka answers at {why}: events wait in the outbox until it does "
                "(GOVID_KAFKA_BOOTSTRAP_SERVERS)."
            )
        running = Running(
            pid=os.getpid(),
            url=url_of(self._listener),
            database_url=place.database_url,
            kafka_bootstrap_servers=place.kafka_bootstrap_servers,
            kafka_in_memory=self._started.kafka is not None,
            started_at=datetime.now(UTC),
        )

        def ready() -> None:
            self._folder.write(msgspec.structs.replace(self._state, running=running))
            self._show(running, version, seeded=seeded)

        try:
            web.run(create_app(self._settings), self._listener, ready)
        finally:
            self._folder.write(self._state)

    def _show(self, running: Running, version: str, *, seeded: bool) -> None:
        hmrc = self._settings.hmrc
        death = hmrc if hmrc.simulate_death else None
        panel = Panel(
            version=__version__,
            ready_seconds=round(time.monotonic() - self._began, 2),
            service=running.url,
            api_docs=f"{running.url}/docs",
            openapi=f"{running.url}/openapi.json",
            health=f"{running.url}/health",
            jwks=f"{running.url}/.well-known/jwks.json",
            inbox=f"{running.url}/dev/inbox" if self._settings.identity.mail.folder else None,
            postgres=unquote(make_url(running.database_url).render_as_string(hide_password=True)),
            postgres_version=version,
            postgres_embedded=self._started.postgres is not None,
            kafka=running.kafka_bootstrap_servers,
            kafka_in_memory=running.kafka_in_memory,
            state_file=str(self._folder.file),
            sign_in=[person.email for person in RESIDENTS] if seeded else [],
            death_notification_for=death.simulate_death_nino if death else None,
            death_notification_at=(
                datetime.now(UTC) + timedelta(seconds=death.simulate_death_delay_seconds)
                if death
                else None
            ),
        )
        if self._output.as_json:
            self._output.document(panel)
        else:
            click.echo(render(panel, self._state.password, _called()))


def _called() -> str:
    """Return what to type to call this program from here."""
    return "govid" if shutil.which("govid") else os.path.relpath(sys.argv[0])


async def _looked_at(place: Target) -> tuple[str, Origin]:
    """Return the version of PostgreSQL, and who has begun the database.

    Whoever cannot be reached is found out here.
    """
    async with connected(place) as connection:
        version: str = await connection.fetchval("SHOW server_version")
        return version.partition(" ")[0], await origin_of(connection)


async def _marked(place: Target) -> None:
    async with connected(place) as connection:
        await mark(connection)


async def _seed(place: Target, password: str) -> None:
    async with connected(place) as connection:
        if await connection.fetchval(
            "SELECT EXISTS (SELECT FROM identity.account WHERE email_canonical = $1)",
            RESIDENTS[0].email,
        ):
            return
    async for _ in seed(place.settings.bus, RESIDENTS, hash_password(password)):
        pass
