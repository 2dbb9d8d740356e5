"""`govid dev`: runs the production application with embedded backends that need only Python.

The server is imported while PostgreSQL starts, because each takes more than half a second. For this
reason the server's part is in a module of its own, `dev_run`.
"""

import importlib
from contextlib import ExitStack

import click
import rich_click

from govid.gateway.cli.commands import STARTED_AT
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.serving.listening import (
    address_options,
    address_settings,
    open_listener,
    refuse_exposure,
    stop_on_signals,
)
from govid.gateway.cli.target import load_settings
from govid.gateway.dev import backends
from govid.gateway.dev.state import CannotStart, StateFolder, default_secrets
from govid.gateway.settings import Settings

_DEV_RUN = "govid.gateway.cli.serving.dev_run"


@click.command("dev", cls=rich_click.RichCommand, epilog="Example: govid dev --port 8001")
@address_options
@click.option("--expose", is_flag=True, help="Allow a --host that other machines can reach.")
@click.option("--reset", is_flag=True, help="Delete all data first.")
@click.option("--no-seed", is_flag=True, help="Do not add demonstration people.")
@json_option
def command(
    *, host: str | None, port: int | None, expose: bool, reset: bool, no_seed: bool, as_json: bool
) -> None:
    """Start everything on this machine, with demonstration data.

    PostgreSQL and Kafka are embedded, unless GOVID_DATABASE_URL and GOVID_KAFKA_BOOTSTRAP_SERVERS
    name other ones. Such a database must be new or created by this command, because synthetic
    people can sign in and simulated departments answer. State is stored in .govid (GOVID_DATA_DIR).
    Ctrl-C stops everything.
    """
    # SIGTERM or a closed terminal ends this command like Ctrl-C: the database is stopped.
    stop_on_signals()
    given = address_settings(host, port)
    base = load_settings(given, demonstration=True)
    refuse_exposure(base.host, expose=expose)
    folder = StateFolder(base.data_dir)
    try:
        with (
            folder.lock(),
            open_listener(base.host, base.port) as listener,
            ExitStack() as stack,
        ):
            if reset:
                folder.delete_contents()
            state = folder.read()
            started = backends.start_backends(
                stack,
                base,
                folder,
                state,
                report=print_note,
                during_start=lambda: importlib.import_module(_DEV_RUN),
            )
            dev_run = importlib.import_module(_DEV_RUN)
            settings = load_settings(
                {
                    **default_secrets(base, state),
                    **started.overrides(),
                    **_disable_death_notice(base, started),
                    **given,
                    "GOVID_PORT": listener.getsockname()[1],
                },
                demonstration=True,
            )
            dev_run.DevRun(
                settings, started, folder, state, listener, STARTED_AT, Output(as_json=as_json)
            ).run(seeded=not no_seed)
    except CannotStart as error:
        raise CommandError(error.message, error.remedy) from error
    print_note("Stopped.")


def _disable_death_notice(base: Settings, started: backends.EmbeddedBackends) -> dict[str, object]:
    """Return the setting that sends no simulated death notice to an external Kafka by default.

    Another consumer of that Kafka would block an account because of it.
    """
    if started.kafka is not None or base.is_set("GOVID_SIMULATE_DEATH_EVENT"):
        return {}
    return {"GOVID_SIMULATE_DEATH_EVENT": base.allow_simulators}
