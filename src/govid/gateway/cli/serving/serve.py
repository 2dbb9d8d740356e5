"""`govid serve`: runs the server under the safety rules of production."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import click
import msgspec
import rich_click

from govid.gateway.app import create_app
from govid.gateway.checks.production import blocking_problems
from govid.gateway.checks.settings import are_ports_shared
from govid.gateway.cli.check import collect_findings
from govid.gateway.cli.errors import CommandError, CommandRefused, InvalidUsage
from govid.gateway.cli.output import print_note
from govid.gateway.cli.serving.listening import (
    LARGEST_PORT,
    HangupSignal,
    address_options,
    address_settings,
    format_listener_url,
    open_listener,
    stop_on_terminate,
)
from govid.gateway.cli.serving.uvicorn_server import (
    GracefulServer,
    HangupReload,
    build_server_config,
    run_server,
)
from govid.gateway.cli.serving.workers import WorkerSupervisor
from govid.gateway.cli.target import Installation, connect_to_database, load_settings
from govid.gateway.cli.topics import accept_ahead_at_start
from govid.gateway.settings import (
    Settings,
    SettingsError,
    SettingsReloader,
    load_from_environment,
)


@click.command("serve", cls=rich_click.RichCommand, epilog="Example: govid migrate && govid serve")
@address_options
@click.option(
    "--accept-kafka-ahead",
    is_flag=True,
    help="Publish although Kafka holds events that the database lacks: see docs/restore.md.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
def command(host: str | None, port: int | None, accept_kafka_ahead: bool, workers: int) -> None:
    """Run the server, with production's safety rules.

    Refuses to start (3) with published or short secrets, an embedded or open database, an in-memory
    broker, simulated departments or pending migrations; it lists all faults at once. Exits with 4
    if the only fault is that the database does not answer. A Kafka that does not answer does not
    prevent the start.
    """
    stop_on_terminate()
    hangups = HangupSignal()
    overrides = address_settings(host, port)
    settings = load_settings(overrides)
    if accept_kafka_ahead:
        asyncio.run(accept_ahead_at_start())
    found = asyncio.run(collect_findings(settings))
    if len(found.faults) == 1:
        asyncio.run(_raise_outage(settings))
    if found.faults:
        raise CommandRefused(
            "the settings or backends are not safe for production:\n"
            + "\n".join(f"  - {one}" for one in found.faults),
            "`govid dev` runs a demonstration; `govid config example` explains every setting.",
        )
    for warning in (*found.warnings, *found.relay_faults):
        print_note(f"warning: {warning}")
    for number in range(workers):
        _check_management_port(settings, number)
    with open_listener(settings.host, settings.port) as listener:
        address = format_listener_url(listener)
        if workers == 1:
            reloader = SettingsReloader(settings, partial(_load_safe_settings, overrides))
            app = create_app(settings, reloader)
            run_server(
                app,
                listener,
                lambda: print_note(f"Ready on {address}"),
                app.drain,
                HangupReload(hangups, reloader.reload),
            )
            return
        supervisor = WorkerSupervisor(partial(_build_worker, overrides), workers, listener)
        print_note(f"Starting {workers} workers on {address}")
        supervisor.run()


async def _raise_outage(settings: Settings) -> None:
    """Report an unreachable database with the message and exit code of all commands.

    Raises:
        BackendUnreachable: the database does not accept the connection. No rule refuses the start,
            so it may be retried.
    """
    installation = Installation(
        settings=settings,
        running=None,
        database_url=settings.bus.database_url,
        kafka_bootstrap_servers=settings.bus.kafka_bootstrap_servers,
    )
    with suppress(InvalidUsage):
        async with connect_to_database(installation):
            return


def _check_management_port(settings: Settings, worker: int) -> None:
    """Check that the management port of a worker is free; the worker opens it when it starts.

    Raises:
        CommandError: another program or the service uses the port, or there is no such port.
    """
    port = _management_port(settings, worker)
    if port is None:
        return
    if are_ports_shared(settings, port):
        raise CommandError(
            f"the management port of worker {worker} would be {port}, the port of the service.",
            "Each worker has one of its own, GOVID_MANAGEMENT_PORT and the next ones: choose a "
            "number above GOVID_PORT.",
        )
    if port > LARGEST_PORT:
        raise CommandError(
            f"the management port of worker {worker} would be {port}.",
            "Each worker has one of its own, GOVID_MANAGEMENT_PORT and the next ones: lower it.",
        )
    open_listener(settings.management_host, port, setting="GOVID_MANAGEMENT_PORT").close()


def _management_port(settings: Settings, worker: int) -> int | None:
    """Return the management port of a worker.

    Each has one of its own. On a shared one each scrape would reach another worker, and the
    counters that Prometheus sees would jump.
    """
    return None if settings.management_port is None else settings.management_port + worker


def _build_worker(
    overrides: Mapping[str, object], number: int, ready: Callable[[], None]
) -> GracefulServer:
    """Build the server of a worker process, which reads the settings again.

    Raises:
        SettingsError: they cannot be read, or a start with them would be refused. They may have
            changed since the supervisor started.
    """
    hangups = HangupSignal()
    settings = _load_safe_settings(overrides)
    reloader = SettingsReloader(settings, partial(_load_safe_settings, overrides))
    port = _management_port(settings, number)
    app = create_app(msgspec.structs.replace(settings, management_port=port), reloader)
    return GracefulServer(
        build_server_config(app),
        ready,
        app.drain,
        HangupReload(hangups, reloader.reload),
        ends_on_second_signal=False,
    )


def _load_safe_settings(overrides: Mapping[str, object]) -> Settings:
    """Read the settings again, under the rules of the start that concern settings alone.

    Raises:
        SettingsError: they cannot be read, or a start with them would be refused.
    """
    settings = load_from_environment(overrides)
    if faults := blocking_problems(settings):
        raise SettingsError(faults)
    return settings
