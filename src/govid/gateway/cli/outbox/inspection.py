"""`govid outbox status | groups | list | show`: inspects pending, parked and dead deliveries.

Each command that finds a problem names the next command. An operator without experience can start
at `govid outbox status` and follow these hints until the problem is solved.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.kafka.inbound_faults import InboundFault, InboundFaults
from govid.bus.operations.inspection import (
    DELIVERY_STATES,
    EventDetail,
    OutboxInspection,
    SubscriberStatus,
)
from govid.bus.operations.repair import FailureGroup, StuckDeliveries
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.filters import build_filter, filter_options, fingerprint_option
from govid.gateway.cli.outbox.repair import discard, retry, unpark
from govid.gateway.cli.outbox.replay import backfill, replay
from govid.gateway.cli.outbox.verify import verify
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.target import (
    Installation,
    connect_to_database,
    explain_kafka_outage,
    find_installation,
)

LATE_SECONDS = 2.0
"""The relay counts as late if its oldest pending event is older. Usually it is far younger."""


@click.group("outbox", cls=rich_click.RichGroup, epilog="Example: govid outbox status")
def command() -> None:
    """Inspect deliveries, repair parked and dead ones, replay and verify.

    Begin with `status`; each command names the next one.
    """


for each in (retry, unpark, discard, replay, backfill, verify):
    command.add_command(each)


@command.command(epilog="Example: govid outbox status --json")
@json_option
def status(as_json: bool) -> None:
    """Show pending deliveries, oldest age, parked keys and dead letters per subscriber."""

    async def run() -> None:
        installation = find_installation()
        async with connect_to_database(installation) as connection:
            found = await OutboxInspection(connection).fetch_status()
            faults = await InboundFaults(connection).fetch_all()
        columns = ["subscriber", "pending", "oldest_seconds", "waiting_keys", "parked_keys", "dead"]
        if as_json:
            columns.append("is_estimate")
        Output(as_json=as_json).print_table(
            columns,
            [tuple(getattr(row, column) for column in columns) for row in found],
            empty_text="",
        )
        _report_faults(faults)
        is_kafka_down = not as_json and await _report_kafka_outage(installation, found)
        if not as_json and not faults:
            _print_next_step(found, is_kafka_down=is_kafka_down)

    asyncio.run(run())


def _report_faults(faults: Sequence[InboundFault]) -> None:
    for fault in faults:
        if fault.accepted_at:
            next_step = "An operator has accepted that it skips them."
        elif fault.is_denied:
            next_step = "Kafka's ACLs do not allow it to read. Next: `govid check`"
        else:
            next_step = (
                f"Next: docs/runbook.md, or `govid topics skip {fault.topic} {fault.partition} "
                f"{fault.first_offset} --reason '...'`"
            )
        print_note(
            f"The inbox has stopped at {fault.location} ({fault.kind}, {fault.reason}). {next_step}"
        )


async def _report_kafka_outage(installation: Installation, found: list[SubscriberStatus]) -> bool:
    """Report that the relay is late because Kafka does not answer; return whether that is so.

    Kafka is contacted only if the oldest pending event of the relay is older than `LATE_SECONDS`.
    """
    ages = [row.oldest_seconds or 0 for row in found if row.subscriber == RELAY and row.pending]
    if not ages or max(ages) < LATE_SECONDS:
        return False
    if installation.kafka_bootstrap_servers:
        from govid.bus.kafka.outage import explain_outage  # noqa: PLC0415 - slow (I13)

        if await explain_outage(installation.kafka_clients) is None:
            return False
    outage = await explain_kafka_outage(installation)
    print_note(
        f"{RELAY} has not sent its oldest event for {max(ages):.0f} s: {outage.message} "
        f"{outage.remedy}"
    )
    return True


def _print_next_step(found: list[SubscriberStatus], *, is_kafka_down: bool) -> None:
    estimated = [row.subscriber for row in found if row.is_estimate]
    if estimated:
        print_note(f"Estimated from a sample of the rows: pending of {', '.join(estimated)}")
    if any(row.parked_keys or row.dead for row in found):
        print_note("Parked keys and dead letters need an operator. Next: `govid outbox groups`")
    elif any(row.waiting_keys for row in found):
        print_note("Waiting keys are retried automatically. For the reasons: `govid outbox groups`")
    elif is_kafka_down:
        print_note("Pending events are sent once Kafka answers. Check again: `govid outbox status`")
    elif any(row.pending for row in found):
        print_note("Pending events are being delivered. Check again: `govid outbox status`")
    else:
        print_note(
            "No delivery is parked or dead. To prove that none is missing: `govid outbox verify`"
        )


@command.command(
    "groups", epilog="Example: govid outbox groups --subscriber nhs.booking --since 2h"
)
@filter_options
@fingerprint_option
@json_option
def groups(fingerprint: str | None, as_json: bool, **values: Any) -> None:
    """Show parked and waiting keys and dead letters, grouped by their cause.

    One line per subscriber and fingerprint. Failures with the same cause have the same fingerprint.
    """
    filter_ = build_filter(**values)

    async def run() -> None:
        async with connect_to_database(find_installation()) as connection:
            found = await StuckDeliveries(connection).fetch_groups(filter_, fingerprint)
        columns = (
            "subscriber", "state", "reason", "error_class", "fingerprint", "count",
            "first_failed", "last_failed", "example_id",
        )  # fmt: skip
        Output(as_json=as_json).print_table(
            columns,
            [msgspec.structs.astuple(row) for row in found],
            optional_columns=(
                "first_failed",
                "example_id",
                "last_failed",
                "error_class",
                "fingerprint",
            ),
            empty_text="",
        )
        if not as_json:
            _print_advice(found)

    asyncio.run(run())


MAX_EXAMPLES = 10
"""Number of groups for which an example id is printed; a narrow table omits its column."""
ADVICE = {
    "outage": "A dependency is unavailable; the key continues automatically when it is back.",
    "error": "The handler raises `{}`: fix the handler or its dependency.",
    "undecodable": "The payload does not match the schema of its event type.",
    "unknown_type": "This release does not know the event type or version; a newer one may.",
    "no_handler": "This release has no handler for the event; another one may.",
    "crash": "Processes crashed while they handled this event in isolation.",
    "refused": "Kafka rejects the record: `{}`.",
}


def _print_advice(found: list[FailureGroup]) -> None:
    if not found:
        print_note("No delivery is parked, waiting or dead.")
        return
    worst = found[0]
    print_note(
        f"{ADVICE.get(worst.reason, '').format(worst.error_class)}\n"
        f"An example: `govid outbox show {worst.example_id}`"
    )
    for other in found[1:MAX_EXAMPLES]:
        print_note(
            f"Of {other.subscriber} ({other.reason}): `govid outbox show {other.example_id}`"
        )
    if worst.state == "waiting":
        return
    command_options = f"--fingerprint {worst.fingerprint} --subscriber {worst.subscriber}"
    print_note(
        f"Once the cause is fixed: `govid outbox retry {command_options} --reason '...'`\n"
        f"To discard them permanently: `govid outbox discard {command_options} --reason '...'`"
    )


@command.command("list", epilog="Example: govid outbox list --state parked --since 2h")
@filter_options
@click.option(
    "--state",
    type=click.Choice(DELIVERY_STATES),
    metavar="STATE",
    help=f"Only deliveries in this state: {', '.join(DELIVERY_STATES)}.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most this many.",
)
@json_option
def list_(state: str | None, limit: int, as_json: bool, **values: Any) -> None:
    """List deliveries, newest first: one per event and subscriber."""
    filter_ = build_filter(**values)

    async def run() -> None:
        async with connect_to_database(find_installation()) as connection:
            inspection = OutboxInspection(connection)
            found = await inspection.fetch_deliveries(filter_, state=state, limit=limit)
        columns = (
            "id", "type", "key", "seq", "topic", "stored_at", "subscriber", "state", "attempts",
            "reason",
        )  # fmt: skip
        Output(as_json=as_json).print_table(
            columns,
            [msgspec.structs.astuple(row) for row in found],
            optional_columns=("topic", "reason", "attempts", "seq", "key", "stored_at"),
            folded_column="type",
        )
        if inspection.searched_since is not None:
            moment = inspection.searched_since.isoformat(timespec="seconds")
            print_note(f"Searched back to {moment}. For older events: `--until {moment}`")

    asyncio.run(run())


@command.command(epilog="Example: govid outbox show 0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e")
@click.argument("event_id", type=click.UUID)
@click.option("--raw", is_flag=True, help="Do not mask the payload; only for data of `govid dev`.")
@json_option
def show(event_id: UUID, raw: bool, as_json: bool) -> None:
    """Show one event, its payload masked, and the state of its delivery to each subscriber."""

    async def run() -> EventDetail | None:
        installation = find_installation()
        if raw and not installation.is_demonstration:
            raise CommandRefused(
                "--raw shows personal data, and this is not the data of `govid dev`.",
                "Without --raw the payload is shown masked.",
            )
        async with connect_to_database(installation) as connection:
            return await OutboxInspection(connection).fetch_event(event_id, raw=raw)

    detail = asyncio.run(run())
    if detail is None:
        raise CommandError("there is no event with this id.", "`govid outbox list` shows ids.")
    output = Output(as_json=as_json)
    if as_json:
        output.print_document(detail)
        return
    output.print_mapping({**detail.event, "headers": detail.headers, "payload": detail.payload})
    columns = ("subscriber", "state", "attempts", "reason", "handled_at", "partition", "offset")
    click.echo()
    output.print_table(
        columns,
        [[line[name] for name in columns] for line in detail.deliveries],
        optional_columns=("attempts", "handled_at"),
    )
    for line in detail.deliveries:
        if line["state"] in {"parked", "dead"}:
            command_options = f"--id {event_id} --subscriber {line['subscriber']} --reason '...'"
            print_note(
                f"Its delivery to {line['subscriber']} needs an operator: once the cause "
                f"({line['reason']}, {line['error_class']}) is fixed, run "
                f"`govid outbox retry {command_options}`"
            )
