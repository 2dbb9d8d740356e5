"""`govid demo`: runs scenarios against the running server, by HTTP and Kafka like any client."""

import asyncio
from collections.abc import Sequence

import click
import rich_click

from govid.gateway.cli.demo.runner import ScenarioFailed, ScenarioRunner
from govid.gateway.cli.demo.scenarios import SCENARIOS
from govid.gateway.cli.errors import BackendUnreachable, CommandError
from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.target import find_installation

ALL = "all"


@click.command("demo", cls=rich_click.RichCommand, epilog="Example: govid demo death-notification")
@click.argument("name", type=click.Choice([*SCENARIOS, ALL]), metavar="NAME")
@click.option("--url", help="URL of the server.  [default: that of `govid dev`]")
@click.option("--simulators", help="URL of `govid simulators`.  [default: in the server]")
@json_option
def command(name: str, url: str | None, simulators: str | None, as_json: bool) -> None:
    """Run a scenario against the running server and show its events.

    register: a citizen registers and the department verifies the account. mismatch: a citizen gives
    the number of another person; two attempts are allowed. appointment: a citizen books a slot and
    the practice confirms it. tax-record: a citizen consents to show their tax records.
    death-notification: an external system reports a death, and the account is blocked. outage: the
    NHS is unavailable while citizens register. all: all of them, one after the other. Each run uses
    new synthetic people. Exits with 0 only if every scenario ended as expected.
    """
    installation = find_installation()
    address = url or (installation.running.url if installation.running else None)
    if address is None:
        raise BackendUnreachable("no `govid dev` runs here.", "Start it first, or give --url.")
    names = list(SCENARIOS) if name == ALL else [name]
    output = Output(as_json=as_json)
    runner = ScenarioRunner(address.rstrip("/"), installation, output, simulators=simulators)
    asyncio.run(run_scenarios(names, runner, output))


async def run_scenarios(names: Sequence[str], runner: ScenarioRunner, output: Output) -> None:
    """Run the scenarios *names* with *runner*, one after the other, even if one fails.

    Raises:
        CommandError: one of them failed.
        BackendUnreachable: the server, Kafka or a simulator does not answer.
    """
    failed = []
    async with runner:
        for name in names:
            runner.narrate(f"Scenario: {name}")
            try:
                await SCENARIOS[name](runner)
            except ScenarioFailed as error:
                failed.append(name)
                runner.narrate(f"Failed: {error}")
    output.print_item(
        {"stories": names, "failed": failed},
        "All scenarios succeeded." if not failed else f"Failed: {', '.join(failed)}",
    )
    if failed:
        raise CommandError(
            f"these scenarios failed: {', '.join(failed)}.",
            "`govid outbox status` and `govid outbox list --since 5m` show the deliveries.",
        )
