"""`govid simulators`: runs the simulated departments in a process of their own, over sockets."""

import shlex
from typing import Any

import click
import msgspec
import rich_click
from litestar import Litestar
from prometheus_client import CollectorRegistry

from govid import hmrc, nhs
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.serving.listening import (
    PORT,
    format_listener_url,
    open_listener,
    refuse_exposure,
    stop_on_signals,
)
from govid.gateway.cli.serving.uvicorn_server import run_server
from govid.gateway.cli.target import load_settings
from govid.gateway.dev import simulator_control
from govid.gateway.http.connection_limits import ConnectionLimits

CONNECTIONS = 1_000
"""Limit of open connections. All clients are on this machine."""


class RunningSimulators(msgspec.Struct, frozen=True, kw_only=True):
    """The URL of the simulators, and the settings with which another govid uses them."""

    url: str
    settings: dict[str, str]


@click.command(
    "simulators", cls=rich_click.RichCommand, epilog="Example: govid simulators --port 9000"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=PORT, default=9000, show_default=True, metavar="PORT", help="0 takes a free one."
)
@click.option("--expose", is_flag=True, help="Allow a --host that other machines can reach.")
@json_option
def command(*, host: str, port: int, expose: bool, as_json: bool) -> None:
    """Run the simulated departments alone, on a port, until Ctrl-C.

    They have the APIs of the real departments. The command prints the settings with which another
    govid uses them: `govid dev` takes them unchanged, `govid serve` with
    GOVID_ALLOW_SIMULATORS=true. The key is stored in GOVID_DATA_DIR. To make requests fail while
    it runs: curl -X PUT -d 503:0.5 URL/simulator/nhs/fault (or hmrc), and -d '' to end that.
    """
    stop_on_signals()
    refuse_exposure(host, expose=expose)
    settings = load_settings(demonstration=True)
    key_file = (settings.data_dir / "simulators" / "nhs.pem").absolute()
    nhs_simulator = nhs.NhsSimulator(
        key=nhs.load_or_create_key(key_file),
        fault=settings.nhs.simulator_fault,
        is_limited=not settings.nhs.are_limits_lifted,
    )
    hmrc_simulator = hmrc.HmrcSimulator(
        fault=settings.hmrc.simulator_fault,
        is_limited=not settings.hmrc.are_limits_lifted,
        redirect_uri=settings.hmrc.redirect_uri,
    )
    with open_listener(host, port) as listener:
        running = RunningSimulators(
            url=format_listener_url(listener),
            settings={
                "GOVID_NHS_BASE_URL": format_listener_url(listener),
                "GOVID_NHS_CLIENT_ID": nhs_simulator.client_id,
                "GOVID_NHS_KEY_ID": nhs_simulator.kid,
                "GOVID_NHS_PRIVATE_KEY_FILE": str(key_file),
                "GOVID_NHS_ODS_CODE": nhs.SIMULATED_ODS,
                "GOVID_NHS_ENDPOINT": nhs.SIMULATED_ENDPOINT,
                "GOVID_NHS_PRACTICES": ",".join(map(_format_practice, nhs.SIMULATED_PRACTICES)),
                "GOVID_HMRC_BASE_URL": format_listener_url(listener),
                "GOVID_HMRC_CLIENT_ID": hmrc_simulator.client_id,
                "GOVID_HMRC_CLIENT_SECRET": hmrc_simulator.client_secret,
                "GOVID_HMRC_SCOPE": hmrc.SCOPE,
                "GOVID_HMRC_REDIRECT_URI": settings.hmrc.redirect_uri,
            },
        )
        output = Output(as_json=as_json)
        departments = _DepartmentsApp(nhs_simulator, hmrc_simulator)
        run_server(departments, listener, lambda: _print_settings(running, output, as_json=as_json))
    print_note("Stopped.")


def _format_practice(practice: nhs.Practice) -> str:
    return f"{practice.specialty}={practice.service}@{practice.ods_code}"


class _DepartmentsApp:
    """Routes requests to a department or to the simulator control: their paths are distinct."""

    default_headers = ()
    """Headers of the responses that the protocol class writes itself."""

    def __init__(self, nhs_simulator: nhs.NhsSimulator, hmrc_simulator: hmrc.HmrcSimulator) -> None:
        self._nhs_simulator = nhs_simulator
        self._hmrc_simulator = hmrc_simulator
        self._control = Litestar(
            [
                simulator_control.build_simulator_router(
                    {"nhs": nhs_simulator, "hmrc": hmrc_simulator}
                )
            ],
            openapi_config=None,
            logging_config=None,
        )
        self.limits = ConnectionLimits(
            CollectorRegistry(), total=CONNECTIONS, per_network=CONNECTIONS
        )
        """The connection limits that the protocol class requires of every application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith("/simulator"):
            await self._control(scope, receive, send)
        elif self._hmrc_simulator.handles_path(path):
            await self._hmrc_simulator.application(scope, receive, send)
        else:
            await self._nhs_simulator.application(scope, receive, send)


def _print_settings(running: RunningSimulators, output: Output, *, as_json: bool) -> None:
    if as_json:
        output.print_document(running)
        return
    lines = [f"{name}={shlex.quote(value)}" for name, value in running.settings.items()]
    click.echo("\n".join(lines))
    print_note(f"The departments are simulated on {running.url}")
