"""`govid outbox retry | unpark | discard`: what is stuck is counted, then let go or given up."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click
import msgspec
import rich_click

from govid.bus.acts import Act, Acts
from govid.bus.contracts import OutboxAct, OutboxDiscarded, OutboxRetried, OutboxUnparked
from govid.bus.selection import Selection
from govid.bus.stuck import FOR_GOOD, State, Stuck, StuckDeliveries
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
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.output import note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.selectors import fingerprint_option, refuse_everything, selectors
from govid.gateway.cli.settings import target

KEYS: tuple[State, ...] = ("parked",)

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


def _stuck(deed: Deed, fingerprint: str | None, waiting: bool, **options: Any) -> None:
    ordered, chosen = order_and_selection(options)
    refuse_everything(chosen, fingerprint)
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
        confirm(deed.question.format(len(them)), yes=ordered.yes)
        acts = acts_of(place, connection, subscriptions_of(place))
        act = ordered.act(deed.kind, chosen, fingerprint=fingerprint)
        done = await carry_out(
            deed.phase, len(them), deed.run(stuck, them, acts, act, ordered.rate)
        )
        report(ordered, counts, deed.verb, done, act)
        note(deed.after.format(done))
