"""`govid dev`: the production application, with backends that need nothing but Python.

What serves is imported while PostgreSQL starts: each takes more than half a second.
"""

import importlib
from contextlib import ExitStack

import click
import rich_click

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.group import STARTED
from govid.gateway.cli.listening import PORT, listen, refuse_exposure
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.settings import settings_or_exit
from govid.gateway.cli.signals import stop_on_signals
from govid.gateway.devserver import backends
from govid.gateway.devserver.errors import CannotStart
from govid.gateway.devserver.state import StateFolder, folder_secrets
from govid.gateway.settings import Settings

DEMONSTRATION = "govid.gateway.cli.demonstration"


@click.command("dev", cls=rich_click.RichCommand, epilog="Example: govid dev --port 8001")
@click.option("--host", help="Address to listen on.  [default: GOVID_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=PORT,
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
    name yours. A database of yours has to be new, or made by this command: made-up people are let
    in, and simulated departments answer. State is kept in .govid (GOVID_DATA_DIR). Ctrl-C stops
    all of it.
    """
    # A polite kill, or a closed terminal, ends like Ctrl-C: with the database stopped.
    stop_on_signals()
    asked = {"GOVID_HOST": host, "GOVID_PORT": port}
    given = {name: value for name, value in asked.items() if value is not None}
    base = settings_or_exit(given, demonstration=True)
    refuse_exposure(base.host, expose=expose)
    folder = StateFolder(base.data_dir)
    try:
        with (
            folder.locked(),
            listen(base.host, base.port) as listener,
            ExitStack() as stack,
        ):
            if reset:
                folder.wipe()
            state = folder.read()
            started = backends.start(
                stack,
                base,
                folder,
                state,
                say=note,
                meanwhile=lambda: importlib.import_module(DEMONSTRATION),
            )
            demonstration = importlib.import_module(DEMONSTRATION)
            settings = settings_or_exit(
                {
                    **folder_secrets(base, state),
                    **started.overrides(),
                    **_without_death(base, started),
                    **given,
                    "GOVID_PORT": listener.getsockname()[1],
                },
                demonstration=True,
            )
            demonstration.Demonstration(
                settings, started, folder, state, listener, STARTED, Output(as_json=as_json)
            ).run(seeded=not no_seed)
    except CannotStart as error:
        raise CommandError(error.message, error.remedy) from error
    note("Stopped.")


def _without_death(base: Settings, started: backends.Backends) -> dict[str, object]:
    """Return the setting that reports no death to a Kafka of the operator's, unless told to.

    Whoever reads the topic there would block somebody.
    """
    if started.kafka is not None or base.is_set("GOVID_SIMULATE_DEATH_EVENT"):
        return {}
    return {"GOVID_SIMULATE_DEATH_EVENT": base.allow_simulators}
