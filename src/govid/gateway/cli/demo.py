"""`govid demo`: plays a story against the running server, by HTTP and Kafka like anybody else."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import click
import rich_click

from govid.gateway.cli.errors import CommandError, Unreachable
from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.settings import Target, target
from govid.gateway.cli.stage import Stage, StoryBroken
from govid.gateway.cli.stories import appointment, death_notification, register

STORIES: Mapping[str, Callable[[Stage], Awaitable[None]]] = {
    "register": register,
    "appointment": appointment,
    "death-notification": death_notification,
}
ALL = "all"


@click.command("demo", cls=rich_click.RichCommand, epilog="Example: govid demo death-notification")
@click.argument("name", type=click.Choice([*STORIES, ALL]))
@click.option("--url", help="The server's address.  [default: that of `govid dev`]")
@json_option
def command(name: str, url: str | None, as_json: bool) -> None:
    """Play a story against the running server and watch its events pass.

    register: somebody opens an account and the department verifies it. appointment: somebody
    books a slot at a practice, which confirms it. death-notification: a system outside reports
    a death, and the account is blocked. Each time with a new made-up person. Exits with 0 only if
    the story ended as it should.
    """
    place = target()
    address = url or (place.running.url if place.running else None)
    if address is None:
        raise Unreachable("no `govid dev` runs here.", "Start it first, or give --url.")
    names = list(STORIES) if name == ALL else [name]
    asyncio.run(_play(names, address.rstrip("/"), place, Output(as_json=as_json)))


async def _play(names: list[str], url: str, place: Target, output: Output) -> None:
    failed = []
    async with Stage(url, place, output) as stage:
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
