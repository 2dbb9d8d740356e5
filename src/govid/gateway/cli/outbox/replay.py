"""`govid outbox replay | backfill`: delivers stored events again, or to a new subscriber."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click
import msgspec
import rich_click

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.events import OutboxBackfilled, OutboxReplayed
from govid.bus.operations.backfill import SubscriberBackfill, UnknownSubscriber
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import BatchProgress, OperatorAction
from govid.bus.operations.replay import DeliveryReplay
from govid.gateway.cli.components import load_subscriptions
from govid.gateway.cli.errors import CommandError, InvalidUsage
from govid.gateway.cli.filters import filter_options, require_filter
from govid.gateway.cli.operator import (
    STATUS_HINT,
    BatchCommand,
    OperatorOptions,
    build_operator_actions,
    operator_command,
    parse_options_and_filter,
    run_batch_command,
)
from govid.gateway.cli.outbox.verify import find_unproved_events
from govid.gateway.cli.output import print_note
from govid.gateway.cli.target import connect_at_current_schema, find_installation

REPLAY = BatchCommand(
    phase="Replaying",
    question="Deliver {} events again?",
    verb="replayed",
    preview_text="{} would be delivered again.",
    success_text=f"{{}} will be delivered again. {STATUS_HINT}",
)
REEXECUTE = msgspec.structs.replace(REPLAY, question=f"{REPLAY.question} Effects are repeated!")
REPUBLISH = BatchCommand(
    phase="Replaying",
    question="Publish {} events again?",
    verb="replayed",
    preview_text="{} would be published again.",
    success_text=f"{{}} will be published again, with the same ids. {STATUS_HINT}",
)
BACKFILL = BatchCommand(
    phase="Backfilling",
    question="Deliver {} events to this subscriber?",
    verb="backfilled",
    preview_text="{} would be delivered.",
    success_text=f"{{}} will be delivered. {STATUS_HINT}",
)


@click.command(
    "replay",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox replay --subscriber kafka.relay --since 2h "
    "--reason 'consumer lost its data' --dry-run",
)
@filter_options
@click.option(
    "--reexecute", is_flag=True, help="Repeat the effects of the handler; requires --subscriber."
)
@click.option(
    "--unproved",
    is_flag=True,
    help="Publish every event that Kafka has lost, as `govid outbox verify` finds them.",
)
@operator_command
def replay(reexecute: bool, unproved: bool, **values: Any) -> None:
    """Deliver events again that were delivered before, with the same event ids.

    A handler that has already applied an event does nothing, unless --reexecute is given. The
    outbox relay publishes the event again and marks the record by a header.
    """
    options, filter_ = parse_options_and_filter(values)
    if unproved:
        _refuse_narrowing(filter_)
        asyncio.run(_republish(options, filter_))
        return
    require_filter(filter_)
    if reexecute and filter_.subscriber is None:
        raise click.UsageError(
            "--reexecute repeats effects: select the subscriber by --subscriber."
        )
    asyncio.run(_replay(options, filter_, reexecute=reexecute))


@click.command(
    "backfill",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox backfill --subscriber nhs.appointments --since 30d "
    "--reason 'new in 1.5' --dry-run",
)
@filter_options
@operator_command
def backfill(**values: Any) -> None:
    """Deliver older events to a new subscriber.

    Delivers only events that the subscriber accepts and has not received. If a key has already
    received later events, it gets the older ones out of order: backfill soon after the release that
    adds the subscriber.
    """
    options, filter_ = parse_options_and_filter(values)
    if filter_.subscriber is None:
        raise click.UsageError("Select the subscriber that gets the events by --subscriber.")
    asyncio.run(_backfill(options, filter_, filter_.subscriber))


async def _replay(options: OperatorOptions, filter_: DeliveryFilter, *, reexecute: bool) -> None:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        plan = DeliveryReplay(connection)
        counts = await plan.count_deliveries(filter_)
        if not any(counts.values()):
            await _raise_nothing_matches(plan, filter_)

        def start() -> tuple[OperatorAction, AsyncIterator[BatchProgress]]:
            action = options.build_action(
                OutboxReplayed, filter_, reexecute="yes" if reexecute else None
            )
            actions = build_operator_actions(installation, connection)
            return action, plan.run(
                filter_, actions, action, rate=options.rate, reexecute=reexecute
            )

        repeats_effects = reexecute and set(counts) != {RELAY}
        await run_batch_command(REEXECUTE if repeats_effects else REPLAY, options, counts, start)


def _refuse_narrowing(filter_: DeliveryFilter) -> None:
    if filter_ != DeliveryFilter(since=filter_.since, until=filter_.until):
        raise click.UsageError(
            "--unproved selects the events itself: only --since and --until may be given with it."
        )


async def _republish(options: OperatorOptions, filter_: DeliveryFilter) -> None:
    """Publish the events again whose receipts name a record that Kafka does not hold."""
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        ids = await find_unproved_events(installation, connection, filter_.since, filter_.until)
        if not ids:
            raise CommandError(
                "Kafka holds every record that a receipt names; nothing is published again.",
                "`govid outbox verify` shows other problems.",
            )

        def start() -> tuple[OperatorAction, AsyncIterator[BatchProgress]]:
            action = options.build_action(OutboxReplayed, filter_, unproved="yes")
            actions = build_operator_actions(installation, connection)
            plan = DeliveryReplay(connection)
            return action, plan.run_for_events(ids, actions, action, rate=options.rate)

        await run_batch_command(REPUBLISH, options, {RELAY: len(ids)}, start)


async def _raise_nothing_matches(plan: DeliveryReplay, filter_: DeliveryFilter) -> None:
    known = await plan.fetch_subscribers()
    if filter_.subscriber is not None and filter_.subscriber not in known:
        raise InvalidUsage(
            f"no subscriber named {filter_.subscriber} has ever completed a delivery.",
            f"There are: {', '.join(known) or 'none'}.",
        )
    raise CommandError(
        "no completed delivery matches; nothing is replayed.",
        "`govid outbox list` with the same options shows the deliveries that exist.",
    )


async def _backfill(options: OperatorOptions, filter_: DeliveryFilter, subscriber: str) -> None:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        subscriptions = load_subscriptions(installation)
        try:
            plan = SubscriberBackfill(connection, subscriptions, subscriber)
        except UnknownSubscriber as error:
            names = sorted([*(definition.name for definition in subscriptions), RELAY])
            raise InvalidUsage(
                f"this release has no subscriber named {subscriber}.",
                f"There are: {', '.join(names)}.",
            ) from error
        total = await plan.count_deliveries(filter_)
        if plan.unreadable:
            print_note(
                f"{plan.unreadable} events are skipped: this release cannot read their version. "
                "A newer release can backfill them."
            )
        if total == 0:
            raise CommandError(
                f"{subscriber} has received all matching events; nothing was changed.",
                "`govid outbox list` with the same options shows what it has received.",
            )

        def start() -> tuple[OperatorAction, AsyncIterator[BatchProgress]]:
            action = options.build_action(OutboxBackfilled, filter_)
            actions = build_operator_actions(installation, connection, subscriptions)
            return action, plan.run(filter_, actions, action, rate=options.rate)

        named = msgspec.structs.replace(BACKFILL, question=f"Deliver {{}} events to {subscriber}?")
        await run_batch_command(named, options, {subscriber: total}, start)
