"""`govid outbox retry | unpark | discard | replay | backfill`: each counts, asks, acts, records."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

import click
import msgspec
import rich_click

from govid.bus.acts import Act, Acts, Progress
from govid.bus.backfill import Backfill, UnknownSubscriber
from govid.bus.consumers import RELAY
from govid.bus.contracts import (
    OutboxAct,
    OutboxBackfilled,
    OutboxDiscarded,
    OutboxReplayed,
    OutboxRetried,
    OutboxUnparked,
)
from govid.bus.replay import Replay
from govid.bus.selection import Selection
from govid.bus.stuck import FOR_GOOD, State, Stuck, StuckDeliveries
from govid.gateway.cli.acting import (
    Order,
    acting,
    acts_of,
    at_head,
    carry_out,
    confirm,
    order,
    refuse_changed_topics,
    report,
    subscriptions_of,
)
from govid.gateway.cli.errors import CommandError, WrongUsage
from govid.gateway.cli.output import note
from govid.gateway.cli.selectors import fingerprint_option, selection, selectors
from govid.gateway.cli.settings import target

ORDER = frozenset({"reason", "actor", "rate", "dry_run", "yes", "as_json"})
KEYS: tuple[State, ...] = ("parked",)
SETTLES = "`govid outbox status` shows whether they got through."

waiting_option = click.option(
    "--waiting", is_flag=True, help="Also keys that will be tried again by themselves."
)


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What one command does to the stuck, and how it speaks of it."""

    kind: type[OutboxAct]
    run: Callable[[StuckDeliveries, Sequence[Stuck], Acts, Act, float | None], Any]
    states: Collection[State]
    phase: str
    question: str
    verb: str
    """In the past tense, as a member of the JSON result."""
    after: str


RETRY = Deed(
    kind=OutboxRetried,
    run=StuckDeliveries.retry,
    states=FOR_GOOD,
    phase="Retrying",
    question="Let {} try again?",
    verb="retried",
    after=f"{{}} will be tried again within a second, with all attempts. {SETTLES}",
)
UNPARK = Deed(
    kind=OutboxUnparked,
    run=StuckDeliveries.unpark,
    states=KEYS,
    phase="Unparking",
    question="Let {} keys go on?",
    verb="unparked",
    after=f"{{}} keys go on within a second; one that fails again is parked again. {SETTLES}",
)
DISCARD = Deed(
    kind=OutboxDiscarded,
    run=StuckDeliveries.discard,
    states=FOR_GOOD,
    phase="Discarding",
    question="Give {} up for good? They will never be handled.",
    verb="discarded",
    after=f"{{}} will never be handled; what waited behind them goes on. {SETTLES}",
)


@click.command(
    "retry",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox retry --fingerprint 5d1f0c2b3d4e9a71 --reason 'fixed in 1.4.2'",
)
@selectors
@fingerprint_option
@waiting_option
@acting
def retry(**options: Any) -> None:
    """Let what is stuck begin again: parked keys with all attempts, dead events as deliveries.

    For when the cause is gone. Everything behind the head of a parked key follows in order.
    """
    _stuck(RETRY, **options)


@click.command(
    "unpark",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox unpark --subscriber nhs.booking --reason 'does it work now?'",
)
@selectors
@fingerprint_option
@waiting_option
@acting
def unpark(**options: Any) -> None:
    """Let parked keys go on, with the attempts that they have left, at least one.

    For a careful try: a key that fails again is parked again at once. Dead events need a retry.
    """
    _stuck(UNPARK, **options)


@click.command(
    "discard",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox discard --id 0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e "
    "--reason 'sent twice by the test bench'",
)
@selectors
@fingerprint_option
@acting
def discard(**options: Any) -> None:
    """Give up the event at the head of a parked key, or a dead event, for good.

    It gets a receipt that says so, and the key goes on behind it. Nothing brings it back.
    """
    _stuck(DISCARD, waiting=False, **options)


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
@acting
def replay(reexecute: bool, **options: Any) -> None:
    """Deliver again what was delivered before, with the same event ids.

    A handler that has done its work does nothing, unless it is told to --reexecute; the relay
    publishes again, marked by a header.
    """
    ordered, chosen = _split(options)
    _refuse_everything(chosen)
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
    ordered, chosen = _split(options)
    if chosen.subscriber is None:
        raise click.UsageError("Say who gets the events, by --subscriber.")
    asyncio.run(_backfill(ordered, chosen, chosen.subscriber))


def _split(options: dict[str, Any]) -> tuple[Order, Selection]:
    chosen = {name: value for name, value in options.items() if name not in ORDER}
    return order(**{name: options[name] for name in ORDER}), selection(**chosen)


def _refuse_everything(chosen: Selection, fingerprint: str | None = None) -> None:
    if chosen.is_empty and fingerprint is None:
        raise click.UsageError("Say what you mean: by id, key, type, topic, subscriber or time.")


def _stuck(deed: Deed, fingerprint: str | None, waiting: bool, **options: Any) -> None:
    ordered, chosen = _split(options)
    _refuse_everything(chosen, fingerprint)
    states = (*deed.states, "waiting") if waiting else deed.states
    asyncio.run(_settle(deed, ordered, chosen, fingerprint, states))


async def _settle(
    deed: Deed,
    ordered: Order,
    chosen: Selection,
    fingerprint: str | None,
    states: Collection[State],
) -> None:
    place = target()
    async with at_head(place) as connection:
        stuck = StuckDeliveries(connection)
        them = await stuck.choose(chosen, fingerprint, states)
        if not them:
            raise CommandError(
                f"nothing that is {' or '.join(states)} matches, so nothing was touched.",
                "`govid outbox groups` shows what is stuck; somebody else may have acted already.",
            )
        names = [one.subscriber for one in them]
        counts = {name: names.count(name) for name in sorted(set(names))}
        if ordered.dry_run:
            report(ordered, counts, deed.verb, None, None)
            note(f"{len(them)} would be {deed.verb}.")
            return
        if RELAY in counts and deed is not DISCARD:
            await refuse_changed_topics(place, connection)
        confirm(deed.question.format(len(them)), yes=ordered.yes)
        acts = acts_of(place, connection, subscriptions_of(place))
        act = ordered.act(deed.kind, chosen, fingerprint=fingerprint)
        done = await carry_out(
            deed.phase, len(them), deed.run(stuck, them, acts, act, ordered.rate)
        )
        report(ordered, counts, deed.verb, done, act)
        note(deed.after.format(done))


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
        if RELAY in counts:
            await refuse_changed_topics(place, connection)
        effects = " Effects are repeated!" if reexecute and set(counts) != {RELAY} else ""
        confirm(f"Deliver {total} again?{effects}", yes=ordered.yes)
        act = ordered.act(OutboxReplayed, chosen, reexecute="yes" if reexecute else None)
        acts = acts_of(place, connection, subscriptions_of(place))
        steps = plan.run(chosen, acts, act, rate=ordered.rate, reexecute=reexecute)
        done = await carry_out("Replaying", total, steps)
        report(ordered, counts, "replayed", done, act)
        note(f"{done} will be delivered again. {SETTLES}")


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
        if subscriber == RELAY:
            await refuse_changed_topics(place, connection)
        confirm(f"Deliver {total} events to {subscriber}?", yes=ordered.yes)
        act = ordered.act(OutboxBackfilled, chosen)
        acts = acts_of(place, connection, subscriptions)
        steps: AsyncIterator[Progress] = plan.run(chosen, acts, act, rate=ordered.rate)
        done = await carry_out("Backfilling", total, steps)
        report(ordered, counts, "backfilled", done, act)
        note(f"{done} will be delivered. {SETTLES}")
