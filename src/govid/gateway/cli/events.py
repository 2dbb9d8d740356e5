"""`govid events`: watch what passes on the topics."""

import asyncio
from datetime import datetime

import click
import rich_click

from govid.bus.contracts import Topic
from govid.gateway.cli.audit import audit
from govid.gateway.cli.errors import Refused, WrongUsage
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.selectors import MOMENT
from govid.gateway.cli.settings import Target, target
from govid.gateway.cli.stream import Passed, Source, following
from govid.gateway.cli.viewing import record_view


@click.group("events", cls=rich_click.RichGroup, epilog="Example: govid events tail")
def command() -> None:
    """Watch what passes on the topics."""


@command.command(epilog="Example: govid events tail --topic identity.verification.result --json")
@click.option(
    "--topic",
    "topics",
    type=click.Choice([str(topic) for topic in Topic]),
    multiple=True,
    metavar="TOPIC",
    help="This topic only; repeatable. Without it: all seven.",
)
@click.option("--type", "type_", help="Events of this type, like hmrc.death.notified.")
@click.option("--key", help="Records of this key: an account's id.")
@click.option("--since", type=MOMENT, help="Begin in the past: a time, or 15m, 2h, 7d.")
@click.option("--no-follow", is_flag=True, help="End where the records end now; with --since.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--source", type=click.Choice(["kafka", "outbox"]), help="Where to read.")
@click.option("--raw", is_flag=True, help="Do not mask; outside `govid dev` with a --reason.")
@click.option("--reason", help="Why personal data has to be seen. Written to the log.")
@json_option
def tail(
    *,
    topics: tuple[str, ...],
    type_: str | None,
    key: str | None,
    since: datetime | None,
    no_follow: bool,
    limit: int | None,
    source: Source | None,
    raw: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Print each record as it passes, personal values masked, until Ctrl-C.

    Reads Kafka when there is one and the outbox otherwise.
    """
    if no_follow and since is None:
        raise WrongUsage("--no-follow shows what has passed: say from when on, with --since.")
    place = target()
    if raw:
        _allow_raw(place, reason)
    output = Output(as_json=as_json)

    async def print_all() -> None:
        if raw and not place.is_demonstration:
            await record_view(place, "events tail --raw", reason=reason or "")
        chosen = tuple(map(Topic, topics)) or tuple(Topic)
        left = limit
        async with following(
            place, topics=chosen, source=source, since=since, ends=no_follow, raw=raw
        ) as passing:
            if not no_follow:
                note("Listening. Ctrl-C ends.")
            async for one in passing:
                if not _wanted(one, type_, key):
                    continue
                output.line(one, one.text())
                left = None if left is None else left - 1
                if left == 0:
                    return

    asyncio.run(print_all())


def _wanted(one: Passed, type_: str | None, key: str | None) -> bool:
    # The header carries the version too: hmrc.death.notified.v1.
    return (key is None or one.key == key) and (
        type_ is None or type_ in {one.type, (one.type or "").rpartition(".v")[0]}
    )


def _allow_raw(place: Target, reason: str | None) -> None:
    if place.is_demonstration:
        return
    if not reason:
        raise Refused(
            "--raw shows personal data, and this is not the data of `govid dev`.",
            "Say why with --reason; it is written to the log.",
        )
    audit("events.read_raw", reason=reason)
