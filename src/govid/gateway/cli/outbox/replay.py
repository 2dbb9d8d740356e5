"""`govid outbox replay | backfill`: delivers stored events again, or to a new subscriber."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click
import rich_click

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.events import OutboxBackfilled, OutboxReplayed
from govid.bus.operations.backfill import SubscriberBackfill, UnknownSubscriber
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import BatchProgress
from govid.bus.operations.replay import DeliveryReplay
from govid.gateway.cli.errors import CommandError, InvalidUsage
from govid.gateway.cli.filters import filter_options, require_filter
from govid.gateway.cli.operator import (
    STATUS_HINT,
    OperatorOptions,
    build_operator_actions,
    connect_at_current_schema,
    load_subscriptions,
    operator_command,
    parse_options_and_filter,
    print_result,
    run_batches,
)
from govid.gateway.cli.outbox.verify import find_unproved_events
from govid.gateway.cli.output import print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.target import find_installation


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
        total = sum(counts.values())
        if total == 0:
            await _raise_nothing_matches(plan, filter_)
        if options.dry_run:
            print_result(options, counts, "replayed", None, None)
            print_note(f"{total} would be delivered again.")
            return
        effects = " Effects are repeated!" if reexecute and set(counts) != {RELAY} else ""
        confirm(f"Deliver {total} events again?{effects}", yes=options.yes)
        action = options.build_action(
            OutboxReplayed, filter_, reexecute="yes" if reexecute else None
        )
        actions = build_operator_actions(installation, connection, load_subscriptions(installation))
        batches = plan.run(filter_, actions, action, rate=options.rate, reexecute=reexecute)
        done = await run_batches("Replaying", total, batches)
        print_result(options, counts, "replayed", done, action)
        print_note(f"{done} will be delivered again. {STATUS_HINT}")


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
        counts = {RELAY: len(ids)}
        if options.dry_run:
            print_result(options, counts, "replayed", None, None)
            print_note(f"{len(ids)} would be published again.")
            return
        confirm(f"Publish {len(ids)} events again?", yes=options.yes)
        action = options.build_action(OutboxReplayed, filter_, unproved="yes")
        actions = build_operator_actions(installation, connection, load_subscriptions(installation))
        batches = DeliveryReplay(connection).run_for_events(ids, actions, action, rate=options.rate)
        done = await run_batches("Replaying", len(ids), batches)
        print_result(options, counts, "replayed", done, action)
        print_note(f"{done} will be published again, with the same ids. {STATUS_HINT}")


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
        counts = {subscriber: total}
        if options.dry_run:
            print_result(options, counts, "backfilled", None, None)
            print_note(f"{total} would be delivered.")
            return
        confirm(f"Deliver {total} events to {subscriber}?", yes=options.yes)
        action = options.build_action(OutboxBackfilled, filter_)
        actions = build_operator_actions(installation, connection, subscriptions)
        batches: AsyncIterator[BatchProgress] = plan.run(
            filter_, actions, action, rate=options.rate
        )
        done = await run_batches("Backfilling", total, batches)
        print_result(options, counts, "backfilled", done, action)
        print_note(f"{done} will be delivered. {STATUS_HINT}")
