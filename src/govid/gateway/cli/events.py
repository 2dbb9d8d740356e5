"""`govid events tail`: follows events in Kafka or in the outbox."""

import asyncio
from datetime import datetime

import click
import rich_click

from govid.bus.contracts import Topic
from govid.gateway.cli.audit import log_operator_action
from govid.gateway.cli.errors import CommandRefused, InvalidUsage
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.selectors import MOMENT
from govid.gateway.cli.settings import Installation, find_installation
from govid.gateway.cli.stream import EventSource, ObservedEvent, follow_events
from govid.gateway.cli.viewing import record_data_view


@click.group("events", cls=rich_click.RichGroup, epilog="Example: govid events tail")
def command() -> None:
    """Follow the events on the topics."""


@command.command(epilog="Example: govid events tail --topic identity.verification.result --json")
@click.option(
    "--topic",
    "topics",
    type=click.Choice([str(topic) for topic in Topic]),
    multiple=True,
    metavar="TOPIC",
    help="Only this topic; repeatable. Without it: all topics.",
)
@click.option("--type", "type_", help="Only events of this type, like hmrc.death.notified.")
@click.option("--key", help="Only records with this key: an account id.")
@click.option("--since", type=MOMENT, help="Start at this time, or age (15m, 2h, 7d).")
@click.option("--no-follow", is_flag=True, help="Stop at the end of the records; requires --since.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option(
    "--source",
    type=click.Choice(["kafka", "outbox"]),
    help="Read from here.  [default: kafka if it answers]",
)
@click.option(
    "--raw", is_flag=True, help="Do not mask values; outside `govid dev` requires --reason."
)
@click.option("--reason", help="Why personal data must be shown. Written to the log.")
@json_option
def tail(
    *,
    topics: tuple[str, ...],
    type_: str | None,
    key: str | None,
    since: datetime | None,
    no_follow: bool,
    limit: int | None,
    source: EventSource | None,
    raw: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Print each new record, with personal values masked, until Ctrl-C.

    Reads Kafka if it is configured and answers, otherwise the outbox.
    """
    if no_follow and since is None:
        raise InvalidUsage("--no-follow shows past records only: give their start with --since.")
    installation = find_installation()
    if raw:
        _check_raw_allowed(installation, reason)
    output = Output(as_json=as_json)

    async def print_events() -> None:
        if raw and not installation.is_demonstration:
            await record_data_view(installation, "events tail --raw", reason=reason or "")
        chosen = tuple(map(Topic, topics)) or tuple(Topic)
        left = limit
        async with follow_events(
            installation, topics=chosen, source=source, since=since, ends=no_follow, raw=raw
        ) as events:
            if not no_follow:
                print_note("Listening. Ctrl-C ends.")
            async for one in events:
                if not _matches(one, type_, key):
                    continue
                output.print_item(one, one.format_line())
                left = None if left is None else left - 1
                if left == 0:
                    return

    asyncio.run(print_events())


def _matches(one: ObservedEvent, type_: str | None, key: str | None) -> bool:
    # The header includes the version: hmrc.death.notified.v1.
    return (key is None or one.key == key) and (
        type_ is None or type_ in {one.type, (one.type or "").rpartition(".v")[0]}
    )


def _check_raw_allowed(installation: Installation, reason: str | None) -> None:
    if installation.is_demonstration:
        return
    if not reason:
        raise CommandRefused(
            "--raw shows personal data, and this is not the data of `govid dev`.",
            "Give a --reason; it is written to the log.",
        )
    log_operator_action("events.read_raw", reason=reason)
