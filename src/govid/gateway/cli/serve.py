"""`govid serve`: the server, with production's safety rules."""

import asyncio
import signal

import click
import rich_click
from uvicorn.supervisors import Multiprocess

from govid.gateway.app import create_app
from govid.gateway.cli import web
from govid.gateway.cli.check import findings
from govid.gateway.cli.errors import Refused
from govid.gateway.cli.listening import PORT, listen, url_of
from govid.gateway.cli.output import note
from govid.gateway.cli.settings import settings_or_exit
from govid.gateway.cli.topic_commands import accept_ahead_at_start
from govid.gateway.edge import Edge
from govid.gateway.settings import load


@click.command("serve", cls=rich_click.RichCommand, epilog="Example: govid migrate && govid serve")
@click.option("--host", help="Address to listen on.  [default: GOVID_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=PORT,
    metavar="PORT",
    help="0 takes a free one.  [default: GOVID_PORT, else 8000]",
)
@click.option(
    "--accept-kafka-ahead",
    is_flag=True,
    help="Publish although Kafka holds events that the database has not: see docs/restore.md.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
def command(host: str | None, port: int | None, accept_kafka_ahead: bool, workers: int) -> None:
    """Run the server, with production's safety rules.

    Refuses to start (3) on published or short secrets, an embedded or open database, an in-memory
    broker, simulated departments, pending migrations; it lists all faults at once. A Kafka that
    does not answer is no reason not to start.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = {"GOVID_HOST": host, "GOVID_PORT": port}
    settings = settings_or_exit({name: value for name, value in asked.items() if value is not None})
    if accept_kafka_ahead:
        asyncio.run(accept_ahead_at_start())
    found = asyncio.run(findings(settings))
    if found.faults:
        raise Refused(
            "this is not fit for production:\n" + "\n".join(f"  - {one}" for one in found.faults),
            "`govid dev` runs a demonstration; `govid config example` explains every setting.",
        )
    for warning in (*found.warnings, *found.relay_faults):
        note(f"warning: {warning}")
    if settings.management_port is not None:
        # Said here in a sentence; each worker takes the port by itself, when it starts.
        listen(
            settings.management_host, settings.management_port, setting="GOVID_MANAGEMENT_PORT"
        ).close()
    with listen(settings.host, settings.port) as listener:
        address = url_of(listener)
        if workers == 1:
            web.run(create_app(settings), listener, lambda: note(f"Ready on {address}"))
            return
        configuration = web.configuration(
            "govid.gateway.cli.serve:application", workers=workers, factory=True
        )
        note(f"Starting {workers} workers on {address}")
        Multiprocess(configuration, sockets=[listener]).run()


def application() -> Edge:
    """Build the application in a worker process, which reads the settings again."""
    return create_app(load())
