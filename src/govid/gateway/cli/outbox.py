"""`govid outbox`: what is owed to whom, what is stuck, and what to do about it.

Each command that finds something names the next one, so that whoever has never seen this gets
from `govid outbox status` to the end of the trouble.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid.bus.consumers import RELAY
from govid.bus.inspection import STATES, EventDetail, Inspection, SubscriberStatus
from govid.bus.kafka.inbound_faults import InboundFault, InboundFaults
from govid.bus.stuck import Group, StuckDeliveries
from govid.gateway.cli import outbox_mending, outbox_replay, outbox_verify
from govid.gateway.cli.errors import CommandError, Refused
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.selectors import fingerprint_option, selection, selectors
from govid.gateway.cli.settings import Target, connected, kafka_silence, target
from govid.gateway.kafka_addresses import why_nobody_answers

LATE_SECONDS = 2.0
"""A relay that works sends an event within a fraction of this."""


@click.group("outbox", cls=rich_click.RichGroup, epilog="Example: govid outbox status")
def command() -> None:
    """Inspect what is owed to whom, mend what is stuck, deliver again, prove it.

    Begin with `status`; each command names the next one.
    """


for each in (
    outbox_mending.retry,
    outbox_mending.unpark,
    outbox_mending.discard,
    outbox_replay.replay,
    outbox_replay.backfill,
    outbox_verify.verify,
):
    command.add_command(each)


@command.command(epilog="Example: govid outbox status --json")
@json_option
def status(as_json: bool) -> None:
    """Show each subscriber's debts: pending, age of the oldest, stuck keys, dead."""

    async def ask() -> None:
        place = target()
        async with connected(place) as connection:
            found = await Inspection(connection).status()
            faults = await InboundFaults(connection).fetch_all()
        columns = ["subscriber", "pending", "oldest_seconds", "waiting_keys", "parked_keys", "dead"]
        if as_json:
            columns.append("is_estimate")
        Output(as_json=as_json).table(
            columns,
            [tuple(getattr(row, column) for column in columns) for row in found],
            nothing="",
        )
        _report_faults(faults)
        is_silent = not as_json and await _report_silence(place, found)
        if not as_json and not faults:
            _lead_on(found, is_silent=is_silent)

    asyncio.run(ask())


def _report_faults(faults: Sequence[InboundFault]) -> None:
    for fault in faults:
        next_step = (
            "An operator has let it step over."
            if fault.accepted_at
            else f"Next: docs/runbook.md, or `govid topics skip {fault.topic} {fault.partition} "
            f"{fault.first_offset} --reason '...'`"
        )
        note(f"The inbox has stopped at {fault.place} ({fault.kind}, {fault.reason}). {next_step}")


async def _report_silence(place: Target, found: list[SubscriberStatus]) -> bool:
    """Say that no Kafka takes what the relay owes; return whether that is so.

    Kafka is asked only where the oldest pending event is older than a relay that works leaves it.
    """
    ages = [row.oldest_seconds or 0 for row in found if row.subscriber == RELAY and row.pending]
    if not ages or max(ages) < LATE_SECONDS:
        return False
    servers = place.kafka_bootstrap_servers
    if servers and await why_nobody_answers(servers) is None:
        return False
    silence = await kafka_silence(place)
    note(
        f"{RELAY} has not sent its oldest event for {max(ages):.0f} s: {silence.message} "
        f"{silence.remedy}"
    )
    return True


def _lead_on(found: list[SubscriberStatus], *, is_silent: bool) -> None:
    estimated = [row.subscriber for row in found if row.is_estimate]
    if estimated:
        note(f"Estimated from a part of the rows: pending of {', '.join(estimated)}")
    if any(row.parked_keys or row.dead for row in found):
        note("Parked keys and dead events wait for a person. Next: `govid outbox groups`")
    elif any(row.waiting_keys for row in found):
        note("Waiting keys are tried again by themselves. Why they wait: `govid outbox groups`")
    elif is_silent:
        note("Pending events are sent once Kafka answers. Look again: `govid outbox status`")
    elif any(row.pending for row in found):
        note("Pending events are on their way. Look again: `govid outbox status`")
    else:
        note("Nothing is stuck. That nothing is missing proves: `govid outbox verify`")


@command.command(
    "groups", epilog="Example: govid outbox groups --subscriber nhs.booking --since 2h"
)
@selectors
@fingerprint_option
@json_option
def groups(fingerprint: str | None, as_json: bool, **chosen: Any) -> None:
    """Show what is stuck by its cause: parked and waiting keys, dead events.

    One line for each subscriber and fingerprint, which failures of one cause have in common.
    """
    wanted = selection(**chosen)

    async def ask() -> None:
        async with connected(target()) as connection:
            found = await StuckDeliveries(connection).groups(wanted, fingerprint)
        columns = (
            "subscriber", "state", "reason", "error_class", "fingerprint", "count",
            "first_failed", "last_failed", "example_id",
        )  # fmt: skip
        Output(as_json=as_json).table(
            columns,
            [msgspec.structs.astuple(row) for row in found],
            least=("first_failed", "example_id", "last_failed", "error_class", "fingerprint"),
            nothing="",
        )
        if not as_json:
            _advise(found)

    asyncio.run(ask())


MOST_EXAMPLES = 10
"""How many groups are named with an example each, which a narrow table leaves out."""
ADVICE = {
    "outage": "The thing that it needs is away; the key goes on by itself when it is back.",
    "error": "The handler raises `{}`: its release, or what it depends on, has to be mended.",
    "undecodable": "The payload is not of its type's shape.",
    "unknown_type": "This release does not know the type or version; a newer one may.",
    "no_handler": "This release has no handler for it; another one may.",
    "crash": "Processes died of this event, alone.",
    "refused": "Kafka does not take the record: `{}`.",
}


def _advise(found: list[Group]) -> None:
    if not found:
        note("Nothing is stuck.")
        return
    worst = found[0]
    note(
        f"{ADVICE.get(worst.reason, '').format(worst.error_class)}\n"
        f"Look at one: `govid outbox show {worst.example_id}`"
    )
    for other in found[1:MOST_EXAMPLES]:
        note(f"One of {other.subscriber} ({other.reason}): `govid outbox show {other.example_id}`")
    if worst.state == "waiting":
        return
    chosen = f"--fingerprint {worst.fingerprint} --subscriber {worst.subscriber}"
    note(
        f"Once the cause is gone: `govid outbox retry {chosen} --reason '...'`\n"
        f"To give them up for good: `govid outbox discard {chosen} --reason '...'`"
    )


@command.command("list", epilog="Example: govid outbox list --state parked --since 2h")
@selectors
@click.option(
    "--state",
    type=click.Choice(STATES),
    metavar="STATE",
    help=f"In this state only: {', '.join(STATES)}.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@json_option
def list_(state: str | None, limit: int, as_json: bool, **chosen: Any) -> None:
    """List deliveries, the newest first: each event at each of its subscribers."""
    wanted = selection(**chosen)

    async def ask() -> None:
        async with connected(target()) as connection:
            inspection = Inspection(connection)
            found = await inspection.find(wanted, state=state, limit=limit)
        columns = (
            "id", "type", "key", "seq", "topic", "stored_at", "subscriber", "state", "attempts",
            "reason",
        )  # fmt: skip
        Output(as_json=as_json).table(
            columns,
            [msgspec.structs.astuple(row) for row in found],
            least=("topic", "reason", "attempts", "seq", "key", "stored_at"),
            folded="type",
        )
        if inspection.searched_since is not None:
            moment = inspection.searched_since.isoformat(timespec="seconds")
            note(f"Searched back to {moment}. For what is older: `--until {moment}`")

    asyncio.run(ask())


@command.command(epilog="Example: govid outbox show 0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e")
@click.argument("event_id", type=click.UUID)
@click.option("--raw", is_flag=True, help="Do not mask the payload; demonstration data only.")
@json_option
def show(event_id: UUID, raw: bool, as_json: bool) -> None:
    """Show one event, its payload masked, and what became of it at every subscriber."""

    async def ask() -> EventDetail | None:
        place = target()
        if raw and not place.is_demonstration:
            raise Refused(
                "--raw shows personal data, and this is not the data of `govid dev`.",
                "Without --raw the payload is shown masked.",
            )
        async with connected(place) as connection:
            return await Inspection(connection).show(event_id, raw=raw)

    detail = asyncio.run(ask())
    if detail is None:
        raise CommandError("there is no event of this id.", "`govid outbox list` shows ids.")
    output = Output(as_json=as_json)
    if as_json:
        output.document(detail)
        return
    output.mapping({**detail.event, "headers": detail.headers, "payload": detail.payload})
    columns = ("subscriber", "state", "attempts", "reason", "handled_at", "partition", "offset")
    click.echo()
    output.table(
        columns,
        [[line[name] for name in columns] for line in detail.deliveries],
        least=("attempts", "handled_at"),
    )
    for line in detail.deliveries:
        if line["state"] in {"parked", "dead"}:
            chosen = f"--id {event_id} --subscriber {line['subscriber']} --reason '...'"
            note(
                f"At {line['subscriber']} it waits for a person: once the cause ({line['reason']}, "
                f"{line['error_class']}) is gone, `govid outbox retry {chosen}`"
            )
