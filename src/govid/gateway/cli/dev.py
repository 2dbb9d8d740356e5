"""`govid dev`: the production application, with backends that need nothing but Python."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import click
import msgspec
import rich_click
from sqlalchemy import make_url

from govid import __version__
from govid.gateway.cli import web
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.migrate import apply
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.settings import Target, answers, connected, settings_or_exit
from govid.gateway.devserver import backends
from govid.gateway.devserver.errors import CannotStart
from govid.gateway.devserver.panel import Panel, render
from govid.gateway.devserver.people import RESIDENTS
from govid.gateway.devserver.seed import hash_password, seed
from govid.gateway.devserver.state import Running, StateFolder
from govid.gateway.settings import Settings


@click.command("dev", cls=rich_click.RichCommand, epilog="Example: govid dev --port 8001")
@click.option("--host", help="Address to listen on.  [default: GOVID_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=web.PORT,
    metavar="PORT",
    help="0 takes a free one.  [default: GOVID_PORT, else 8000]",
)
@click.option("--expose", is_flag=True, help="Allow a --host that other machines can reach.")
@click.option("--reset", is_flag=True, help="Forget all data first.")
@click.option("--no-seed", is_flag=True, help="Do not add demonstration people.")
@json_option
def command(
    *, host: str | None, port: int | None, expose: bool, reset: bool, no_seed: bool, as_json: bool
) -> None:
    """Start everything on this machine, with demonstration data.

    PostgreSQL and Kafka are embedded, unless GOVID_DATABASE_URL and GOVID_KAFKA_BOOTSTRAP_SERVERS
    name yours. State is kept in .govid (GOVID_DATA_DIR). Ctrl-C stops all of it.
    """
    began = time.monotonic()
    # A polite kill ends like Ctrl-C: with the database stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = {"GOVID_HOST": host, "GOVID_PORT": port}
    given = {name: value for name, value in asked.items() if value is not None}
    base = settings_or_exit(given, demonstration=True)
    web.refuse_exposure(base.host, expose=expose)
    folder = StateFolder(base.data_dir)
    try:
        with folder.locked(), web.listen(base.host, base.port) as listener:
            if reset:
                folder.wipe()
            DevServer(folder, listener, given, began, Output(as_json=as_json)).run(
                base, seeded=not no_seed
            )
    except CannotStart as error:
        raise CommandError(error.message, error.remedy) from error
    note("Stopped.")


class DevServer:
    """One run of `govid dev`."""

    def __init__(
        self,
        folder: StateFolder,
        listener: socket.socket,
        given: Mapping[str, object],
        began: float,
        output: Output,
    ) -> None:
        """Serve on *listener*; *given* came from the command line, which ran at *began*."""
        self._folder = folder
        self._listener = listener
        self._given = given
        self._began = began
        self._output = output
        self._state = folder.read()

    def run(self, base: Settings, *, seeded: bool) -> None:
        """Start the backends that *base* does not name, prepare the data, serve until Ctrl-C."""
        with ExitStack() as stack:
            started = backends.start(stack, base, self._folder, self._state, note)
            settings = settings_or_exit(
                {
                    **backends.secrets(base, self._state),
                    **started.overrides(),
                    **self._given,
                    "GOVID_PORT": self._listener.getsockname()[1],
                },
                demonstration=True,
            )
            place = Target(
                settings=settings,
                running=None,
                database_url=settings.bus.database_url,
                kafka_bootstrap_servers=settings.bus.kafka_bootstrap_servers,
            )
            version = asyncio.run(_version(place))
            apply(place)
            if seeded:
                asyncio.run(_seed(place, self._state.password))
            running = Running(
                pid=os.getpid(),
                url=web.url_of(self._listener),
                database_url=place.database_url,
                kafka_bootstrap_servers=place.kafka_bootstrap_servers,
                kafka_in_memory=started.kafka is not None,
                started_at=datetime.now(UTC),
            )
            if started.kafka is None and not asyncio.run(answers(place.kafka_bootstrap_servers)):
                note(
                    "Kafka does not answer. govid starts without it: events wait in the outbox "
                    "until it does (GOVID_KAFKA_BOOTSTRAP_SERVERS)."
                )

            def ready() -> None:
                self._folder.write(msgspec.structs.replace(self._state, running=running))
                self._show(settings, running, started, version, seeded=seeded)

            stack.callback(self._folder.write, self._state)
            # Not at the top: it was read while PostgreSQL started, which saves half a second.
            from govid.gateway.app import create_app  # noqa: PLC0415

            web.run(create_app(settings), self._listener, ready)

    def _show(
        self,
        settings: Settings,
        running: Running,
        started: backends.Backends,
        version: str,
        *,
        seeded: bool,
    ) -> None:
        death = settings.hmrc if settings.hmrc.simulate_death else None
        panel = Panel(
            version=__version__,
            ready_seconds=round(time.monotonic() - self._began, 2),
            service=running.url,
            api_docs=f"{running.url}/docs",
            openapi=f"{running.url}/openapi.json",
            health=f"{running.url}/health",
            jwks=f"{running.url}/.well-known/jwks.json",
            postgres=unquote(make_url(running.database_url).render_as_string(hide_password=True)),
            postgres_version=version,
            postgres_embedded=started.postgres is not None,
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
            click.echo(render(panel, self._state.password))


async def _version(place: Target) -> str:
    """Return the version of PostgreSQL; whoever cannot be reached is found out here."""
    async with connected(place) as connection:
        version: str = await connection.fetchval("SHOW server_version")
    return version.partition(" ")[0]


async def _seed(place: Target, password: str) -> None:
    async with connected(place) as connection:
        if await connection.fetchval(
            "SELECT EXISTS (SELECT FROM identity.account WHERE email_canonical = $1)",
            RESIDENTS[0].email,
        ):
            return
    async for _ in seed(place.settings.bus, RESIDENTS, hash_password(password)):
        pass
