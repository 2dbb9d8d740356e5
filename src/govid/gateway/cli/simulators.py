"""`govid simulators`: the simulated departments in a process of their own, over real sockets."""

import signal

import click
import msgspec
import rich_click

from govid import nhs
from govid.gateway.cli import web
from govid.gateway.cli.listening import PORT, listen, refuse_exposure, url_of
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.settings import settings_or_exit


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
    URL/simulator/nhs/fault, and -d '' to end it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    refuse_exposure(host, expose=expose)
    settings = settings_or_exit(demonstration=True)
    key_file = (settings.data_dir / "simulators" / "nhs.pem").absolute()
    simulator = nhs.NhsSimulator(
        key=nhs.kept_key(key_file),
        fault=settings.nhs.simulator_fault,
        is_limited=not settings.nhs.are_limits_lifted,
    )
    with listen(host, port) as listener:
        running = Running(
            url=url_of(listener),
            settings={
                "GOVID_NHS_BASE_URL": url_of(listener),
                "GOVID_NHS_CLIENT_ID": simulator.client_id,
                "GOVID_NHS_KEY_ID": simulator.kid,
                "GOVID_NHS_PRIVATE_KEY_FILE": str(key_file),
            },
        )
        output = Output(as_json=as_json)
        web.run(simulator.application, listener, lambda: _tell(running, output, as_json=as_json))
    note("Stopped.")


def _tell(running: Running, output: Output, *, as_json: bool) -> None:
    if as_json:
        output.document(running)
        return
    click.echo("\n".join(f"{name}={value}" for name, value in running.settings.items()))
    note(f"The departments are simulated on {running.url}")
