"""`govid simulators`: the simulated departments in a process of their own, over real sockets."""

import shlex
from typing import Any

import click
import msgspec
import rich_click
from litestar import Litestar
from prometheus_client import CollectorRegistry

from govid import hmrc, nhs
from govid.gateway import rehearsal
from govid.gateway.cli import web
from govid.gateway.cli.listening import PORT, listen, refuse_exposure, url_of
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.settings import settings_or_exit
from govid.gateway.cli.signals import stop_on_signals
from govid.gateway.connection_limits import ConnectionLimits

CONNECTIONS = 1_000
"""How many clients may be connected at a time; all of them are on this machine."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Where the simulators are, and the settings by which another govid finds them."""

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

    They speak as the real ones do. What is printed are the settings for a govid that shall ask
    them: `govid dev` takes them as they are, `govid serve` with GOVID_ALLOW_SIMULATORS=true. The
    key is kept in GOVID_DATA_DIR. To let calls fail while it runs: curl -X PUT -d 503:0.5
    URL/simulator/nhs/fault (or hmrc), and -d '' to end it.
    """
    stop_on_signals()
    refuse_exposure(host, expose=expose)
    settings = settings_or_exit(demonstration=True)
    key_file = (settings.data_dir / "simulators" / "nhs.pem").absolute()
    patients = nhs.NhsSimulator(
        key=nhs.kept_key(key_file),
        fault=settings.nhs.simulator_fault,
        is_limited=not settings.nhs.are_limits_lifted,
    )
    ninos = hmrc.HmrcSimulator(
        fault=settings.hmrc.simulator_fault,
        is_limited=not settings.hmrc.are_limits_lifted,
        redirect_uri=settings.hmrc.redirect_uri,
    )
    with listen(host, port) as listener:
        running = Running(
            url=url_of(listener),
            settings={
                "GOVID_NHS_BASE_URL": url_of(listener),
                "GOVID_NHS_CLIENT_ID": patients.client_id,
                "GOVID_NHS_KEY_ID": patients.kid,
                "GOVID_NHS_PRIVATE_KEY_FILE": str(key_file),
                "GOVID_NHS_ODS_CODE": nhs.ODS,
                "GOVID_NHS_ENDPOINT": nhs.ENDPOINT,
                "GOVID_NHS_PRACTICES": ",".join(map(_practice, nhs.SIMULATED)),
                "GOVID_HMRC_BASE_URL": url_of(listener),
                "GOVID_HMRC_CLIENT_ID": ninos.client_id,
                "GOVID_HMRC_CLIENT_SECRET": ninos.client_secret,
                "GOVID_HMRC_SCOPE": hmrc.SCOPE,
                "GOVID_HMRC_REDIRECT_URI": settings.hmrc.redirect_uri,
            },
        )
        output = Output(as_json=as_json)
        both = _Departments(patients, ninos)
        web.run(both, listener, lambda: _tell(running, output, as_json=as_json))
    note("Stopped.")


def _practice(one: nhs.Practice) -> str:
    return f"{one.specialty}={one.service}@{one.ods}"


class _Departments:
    """One application for both departments and rehearsals: no two have a path in common."""

    standing_headers = ()
    """Of answers that `Connection` writes by itself."""

    def __init__(self, patients: nhs.NhsSimulator, ninos: hmrc.HmrcSimulator) -> None:
        self._patients = patients
        self._ninos = ninos
        self._changes = Litestar(
            [rehearsal.router({"nhs": patients, "hmrc": ninos})],
            openapi_config=None,
            logging_config=None,
        )
        self.limits = ConnectionLimits(
            CollectorRegistry(), total=CONNECTIONS, per_network=CONNECTIONS
        )
        """What `Connection` asks of every application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith("/simulator"):
            await self._changes(scope, receive, send)
        elif self._ninos.knows(path):
            await self._ninos.application(scope, receive, send)
        else:
            await self._patients.application(scope, receive, send)


def _tell(running: Running, output: Output, *, as_json: bool) -> None:
    if as_json:
        output.document(running)
        return
    lines = [f"{name}={shlex.quote(value)}" for name, value in running.settings.items()]
    click.echo("\n".join(lines))
    note(f"The departments are simulated on {running.url}")
