"""`govid outbox replay | backfill`: delivers stored events again, or to a new subscriber."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click
import rich_click

from govid.bus.acts import Progress
from govid.bus.backfill import Backfill, UnknownSubscriber
from govid.bus.consumers import RELAY
from govid.bus.contracts import OutboxBackfilled, OutboxReplayed
from govid.bus.replay import Replay
from govid.bus.selection import Selection
from govid.gateway.cli.acting import (
    SETTLES,
    Order,
    acting,
    acts_of,
    at_head,
    carry_out,
    order_and_selection,
    report,
    subscriptions_of,
)
from govid.gateway.cli.errors import CommandError, WrongUsage
from govid.gateway.cli.outbox_verify import unproved_events
from govid.gateway.cli.output import note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.selectors import refuse_everything, selectors
from govid.gateway.cli.settings import target


@click.command(
    "replay",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox replay --subscriber kafka.relay --since 2h "
    "--reason 'consumer lost its data' --dry-run",
)
@selectors
@click.option(
    "--reexecute", is_flag=True, help="Repeat the effects of the handler; requires --subscriber."
)
@click.option(
    "--unproved",
    is_flag=True,
    help="Publish every event that Kafka has lost, as `govid outbox verify` finds them.",
)
@acting
def replay(reexecute: bool, unproved: bool, **values: Any) -> None:
    """Deliver events again that were delivered before, with the same event ids.

    A handler that has already applied an event does nothing, unless --reexecute is given. The
    outbox relay publishes the event again and marks the record by a header.
    """
    options, filter_ = order_and_selection(values)
    if unproved:
        _refuse_narrowing(filter_)
        asyncio.run(_republish(options, filter_))
        return
    refuse_everything(filter_)
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
@selectors
@acting
def backfill(**values: Any) -> None:
    """Deliver older events to a new subscriber.

    Delivers only events that the subscriber accepts and has not received. If a key has already
    received later events, it gets the older ones out of order: backfill soon after the release that
    adds the subscriber.
    """
    options, filter_ = order_and_selection(values)
    if filter_.subscriber is None:
        raise click.UsageError("Select the subscriber that gets the events by --subscriber.")
    asyncio.run(_backfill(options, filter_, filter_.subscriber))


async def _replay(options: Order, filter_: Selection, *, reexecute: bool) -> None:
    installation = target()
    async with at_head(installation) as connection:
        plan = Replay(connection)
        counts = await plan.count(filter_)
        total = sum(counts.values())
        if total == 0:
            await _raise_nothing_matches(plan, filter_)
        if options.dry_run:
            report(options, counts, "replayed", None, None)
            note(f"{total} would be delivered again.")
            return
        effects = " Effects are repeated!" if reexecute and set(counts) != {RELAY} else ""
        confirm(f"Deliver {total} events again?{effects}", yes=options.yes)
        action = options.act(OutboxReplayed, filter_, reexecute="yes" if reexecute else None)
        actions = acts_of(installation, connection, subscriptions_of(installation))
        batches = plan.run(filter_, actions, action, rate=options.rate, reexecute=reexecute)
        done = await carry_out("Replaying", total, batches)
        report(options, counts, "replayed", done, action)
        note(f"{done} will be delivered again. {SETTLES}")


def _refuse_narrowing(filter_: Selection) -> None:
    if filter_ != Selection(since=filter_.since, until=filter_.until):
        raise click.UsageError(
            "--unproved selects the events itself: only --since and --until may be given with it."
        )


async def _republish(options: Order, filter_: Selection) -> None:
    """Publish the events again whose receipts name a record that Kafka does not hold."""
    installation = target()
    async with at_head(installation) as connection:
        ids = await unproved_events(installation, connection, filter_.since, filter_.until)
        if not ids:
            raise CommandError(
                "Kafka holds every record that a receipt names; nothing is published again.",
                "`govid outbox verify` shows other problems.",
            )
        counts = {RELAY: len(ids)}
        if options.dry_run:
            report(options, counts, "replayed", None, None)
            note(f"{len(ids)} would be published again.")
            return
        confirm(f"Publish {len(ids)} events again?", yes=options.yes)
        action = options.act(OutboxReplayed, filter_, unproved="yes")
        actions = acts_of(installation, connection, subscriptions_of(installation))
        batches = Replay(connection).run_events(ids, actions, action, rate=options.rate)
        done = await carry_out("Replaying", len(ids), batches)
        report(options, counts, "replayed", done, action)
        note(f"{done} will be published again, with the same ids. {SETTLES}")


async def _raise_nothing_matches(plan: Replay, filter_: Selection) -> None:
    known = await plan.subscribers()
    if filter_.subscriber is not None and filter_.subscriber not in known:
        raise WrongUsage(
            f"no subscriber named {filter_.subscriber} has ever completed a delivery.",
            f"There are: {', '.join(known) or 'none'}.",
        )
    raise CommandError(
        "no completed delivery matches; nothing is replayed.",
        "`govid outbox list` with the same options shows the deliveries that exist.",
    )


async def _backfill(options: Order, filter_: Selection, subscriber: str) -> None:
    installation = target()
    async with at_head(installation) as connection:
        subscriptions = subscriptions_of(installation)
        try:
            plan = Backfill(connection, subscriptions, subscriber)
        except UnknownSubscriber as error:
            names = sorted([*(consumer.name for consumer in subscriptions), RELAY])
            raise WrongUsage(
                f"this release has no subscriber named {subscriber}.",
                f"There are: {', '.join(names)}.",
            ) from error
        total = await plan.count(filter_)
        if plan.unreadable:
            note(
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
            report(options, counts, "backfilled", None, None)
            note(f"{total} would be delivered.")
            return
        confirm(f"Deliver {total} events to {subscriber}?", yes=options.yes)
        action = options.act(OutboxBackfilled, filter_)
        actions = acts_of(installation, connection, subscriptions)
        batches: AsyncIterator[Progress] = plan.run(filter_, actions, action, rate=options.rate)
        done = await carry_out("Backfilling", total, batches)
        report(options, counts, "backfilled", done, action)
        note(f"{done} will be delivered. {SETTLES}")
