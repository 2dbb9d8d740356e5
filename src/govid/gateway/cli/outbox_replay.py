"""`govid outbox replay | backfill`: what was stored before is delivered, again or late."""

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
    "--reexecute", is_flag=True, help="Forget that the work was done; wants --subscriber."
)
@click.option(
    "--unproved",
    is_flag=True,
    help="Publish all that Kafka has lost, as `govid outbox verify` finds it.",
)
@acting
def replay(reexecute: bool, unproved: bool, **options: Any) -> None:
    """Deliver again what was delivered before, with the same event ids.

    A handler that has done its work does nothing, unless it is told to --reexecute; the relay
    publishes again, marked by a header.
    """
    ordered, chosen = order_and_selection(options)
    if unproved:
        _refuse_narrowing(chosen)
        asyncio.run(_republish(ordered, chosen))
        return
    refuse_everything(chosen)
    if reexecute and chosen.subscriber is None:
        raise click.UsageError("--reexecute repeats effects: say whose, by --subscriber.")
    asyncio.run(_replay(ordered, chosen, reexecute=reexecute))


@click.command(
    "backfill",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox backfill --subscriber nhs.appointments --since 30d "
    "--reason 'new in 1.5' --dry-run",
)
@selectors
@acting
def backfill(**options: Any) -> None:
    """Deliver events to a subscriber that is newer than they are, from any point.

    Only what it wants and has not had. A key that has gone further gets the older events late, so
    backfill soon after the release that brings the subscriber.
    """
    ordered, chosen = order_and_selection(options)
    if chosen.subscriber is None:
        raise click.UsageError("Say who gets the events, by --subscriber.")
    asyncio.run(_backfill(ordered, chosen, chosen.subscriber))


async def _replay(ordered: Order, chosen: Selection, *, reexecute: bool) -> None:
    place = target()
    async with at_head(place) as connection:
        plan = Replay(connection)
        counts = await plan.count(chosen)
        total = sum(counts.values())
        if total == 0:
            await _explain_nothing(plan, chosen)
        if ordered.dry_run:
            report(ordered, counts, "replayed", None, None)
            note(f"{total} would be delivered again.")
            return
        effects = " Effects are repeated!" if reexecute and set(counts) != {RELAY} else ""
        confirm(f"Deliver {total} again?{effects}", yes=ordered.yes)
        act = ordered.act(OutboxReplayed, chosen, reexecute="yes" if reexecute else None)
        acts = acts_of(place, connection, subscriptions_of(place))
        steps = plan.run(chosen, acts, act, rate=ordered.rate, reexecute=reexecute)
        done = await carry_out("Replaying", total, steps)
        report(ordered, counts, "replayed", done, act)
        note(f"{done} will be delivered again. {SETTLES}")


def _refuse_narrowing(chosen: Selection) -> None:
    if chosen != Selection(since=chosen.since, until=chosen.until):
        raise click.UsageError("--unproved chooses by itself: give --since and --until at most.")


async def _republish(ordered: Order, chosen: Selection) -> None:
    """Publish again what receipts claim and Kafka does not hold."""
    place = target()
    async with at_head(place) as connection:
        ids = await unproved_events(place, connection, chosen.since, chosen.until)
        if not ids:
            raise CommandError(
                "Kafka holds all that receipts claim, so nothing is published again.",
                "`govid outbox verify` shows what else may be wrong.",
            )
        counts = {RELAY: len(ids)}
        if ordered.dry_run:
            report(ordered, counts, "replayed", None, None)
            note(f"{len(ids)} would be published again.")
            return
        confirm(f"Publish {len(ids)} again?", yes=ordered.yes)
        act = ordered.act(OutboxReplayed, chosen, unproved="yes")
        acts = acts_of(place, connection, subscriptions_of(place))
        steps = Replay(connection).run_events(ids, acts, act, rate=ordered.rate)
        done = await carry_out("Replaying", len(ids), steps)
        report(ordered, counts, "replayed", done, act)
        note(f"{done} will be published again, with the same ids. {SETTLES}")


async def _explain_nothing(plan: Replay, chosen: Selection) -> None:
    known = await plan.subscribers()
    if chosen.subscriber is not None and chosen.subscriber not in known:
        raise WrongUsage(
            f"no subscriber called {chosen.subscriber} ever completed a delivery.",
            f"There are: {', '.join(known) or 'none'}.",
        )
    raise CommandError(
        "nothing that was delivered matches, so nothing is replayed.",
        "`govid outbox list` with the same selectors shows what there is.",
    )


async def _backfill(ordered: Order, chosen: Selection, subscriber: str) -> None:
    place = target()
    async with at_head(place) as connection:
        subscriptions = subscriptions_of(place)
        try:
            plan = Backfill(connection, subscriptions, subscriber)
        except UnknownSubscriber as error:
            names = sorted([*(consumer.name for consumer in subscriptions), RELAY])
            raise WrongUsage(
                f"this release has no subscriber called {subscriber}.",
                f"There are: {', '.join(names)}.",
            ) from error
        total = await plan.count(chosen)
        if plan.unreadable:
            note(
                f"{plan.unreadable} events are of a version that this release cannot read: left "
                "out, until a newer release backfills them."
            )
        if total == 0:
            raise CommandError(
                f"{subscriber} wants nothing there that it has not had; nothing was touched.",
                "`govid outbox list` with the same selectors shows what it has had.",
            )
        counts = {subscriber: total}
        if ordered.dry_run:
            report(ordered, counts, "backfilled", None, None)
            note(f"{total} would be delivered.")
            return
        confirm(f"Deliver {total} events to {subscriber}?", yes=ordered.yes)
        act = ordered.act(OutboxBackfilled, chosen)
        acts = acts_of(place, connection, subscriptions)
        steps: AsyncIterator[Progress] = plan.run(chosen, acts, act, rate=ordered.rate)
        done = await carry_out("Backfilling", total, steps)
        report(ordered, counts, "backfilled", done, act)
        note(f"{done} will be delivered. {SETTLES}")
