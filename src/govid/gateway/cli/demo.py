"""`govid demo`: plays a story against the running server, by HTTP and Kafka like anybody else."""

import asyncio
from collections.abc import Sequence

import click
import rich_click

from govid.gateway.cli.errors import CommandError, Unreachable
from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.settings import target
from govid.gateway.cli.stage import Stage, StoryBroken
from govid.gateway.cli.stories import STORIES

ALL = "all"


@click.command("demo", cls=rich_click.RichCommand, epilog="Example: govid demo death-notification")
@click.argument("name", type=click.Choice([*STORIES, ALL]), metavar="NAME")
@click.option("--url", help="The server's address.  [default: that of `govid dev`]")
@click.option("--simulators", help="Where `govid simulators` runs.  [default: in the server]")
@json_option
def command(name: str, url: str | None, simulators: str | None, as_json: bool) -> None:
    """Play a story against the running server and watch its events pass.

    register: somebody opens an account and the department verifies it. mismatch: somebody gives
    another's number, and may try twice. appointment: somebody books a slot at a practice, which
    confirms it. tax-record: somebody lets HMRC show their tax. death-notification: a system outside
    reports a death, and the account is blocked. outage: the NHS is away while people register. all:
    one after the other. Each time with new made-up people. Exits with 0 only if the story ended as
    it should.
    """
    place = target()
    address = url or (place.running.url if place.running else None)
    if address is None:
        raise Unreachable("no `govid dev` runs here.", "Start it first, or give --url.")
    names = list(STORIES) if name == ALL else [name]
    output = Output(as_json=as_json)
    stage = Stage(address.rstrip("/"), place, output, simulators=simulators)
    asyncio.run(play(names, stage, output))


async def play(names: Sequence[str], stage: Stage, output: Output) -> None:
    """Play the stories *names* on *stage*, one after the other, whatever becomes of each.

    Raises:
        CommandError: one of them did not end as it should.
        Unreachable: what they need is not there.
    """
    failed = []
    async with stage:
        for name in names:
            stage.tell(f"Story: {name}")
            try:
                await STORIES[name](stage)
            except StoryBroken as error:
                failed.append(name)
                stage.tell(f"Not as it should be: {error}")
    output.line(
        {"stories": names, "failed": failed},
        "All as it should be." if not failed else f"Failed: {', '.join(failed)}",
    )
    if failed:
        raise CommandError(
            f"the end was not reached: {', '.join(failed)}.",
            "`govid outbox status` shows what is stuck, `govid outbox list --since 5m` the rest.",
        )
