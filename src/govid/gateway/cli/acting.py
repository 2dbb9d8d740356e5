"""What all commands share that change the outbox: who and why, counted first, asked, recorded."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click
import msgspec

from govid.bus.acts import Act, ActRunning, Acts
from govid.bus.acts import Progress as Step
from govid.bus.catalogue import Catalogue
from govid.bus.consumers import Subscriptions
from govid.bus.contracts import OutboxAct
from govid.bus.envelope import Sealer
from govid.bus.outbox import PostgresOutbox
from govid.bus.pseudonyms import Pseudonyms
from govid.bus.selection import Selection
from govid.gateway.cli.audit import operator
from govid.gateway.cli.errors import CommandError, Refused
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.progress import Progress
from govid.gateway.cli.selectors import selection
from govid.gateway.cli.settings import Target, connected
from govid.gateway.devserver.state import StateFolder, folder_secrets
from govid.gateway.schema_version import head, read_version
from govid.gateway.settings import load

F = TypeVar("F", bound=Callable[..., Any])
LONGEST_REASON = 500
HOW = ("reason", "actor", "rate", "dry_run", "yes", "as_json")
"""The options of `acting`, by which an order is made."""
SETTLES = "`govid outbox status` shows whether they got through."
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PERSONAL = re.compile(
    r"\S@\S|(?<!\d)(\d{10}|\d{3}[ -]\d{3}[ -]\d{4})(?!\d)|\b[a-z]{2} ?\d\d ?\d\d ?\d\d ?[a-d]\b",
    re.IGNORECASE,
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How an operator wants something done."""

    operator: str
    reason: str
    rate: float | None
    dry_run: bool
    yes: bool
    as_json: bool

    @property
    def output(self) -> Output:
        """Where the result goes."""
        return Output(as_json=self.as_json)

    def act(self, kind: type[OutboxAct], chosen: Selection, **more: str | None) -> Act:
        """Return the act of *kind* that this orders, on what was *chosen*."""
        told = {**chosen.told(), **{name: value for name, value in more.items() if value}}
        return Act(kind=kind, operator=self.operator, reason=self.reason, selection=told)


def ordering(trial: str, *more: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return what gives a command the options of an `Order`; `order` makes one of them.

    *trial* says what --dry-run does; *more* are options of its own.
    """
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--reason", help="Why. Kept for ever, so it may name nobody."),
        click.option("--actor", help="Who acts.  [default: the user of this system]"),
        *more,
        click.option("--dry-run", is_flag=True, help=trial),
        click.option("--yes", is_flag=True, help="Do not ask."),
        json_option,
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def acting(function: F) -> F:
    """Give a command the options of an act on deliveries."""
    rate = click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        help="At most so many deliveries a second.",
    )
    return ordering("Count what would be touched, touch nothing.", rate)(function)


def order(
    *,
    reason: str | None,
    actor: str | None,
    rate: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> Order:
    """Make an order of the options' values.

    Raises:
        click.UsageError: there is no reason, or one that may not be kept.
    """
    stated = (reason or "").strip()
    if not stated and not dry_run:
        raise click.UsageError("What is done here is recorded: give --reason (or --dry-run).")
    if len(stated) > LONGEST_REASON or not stated.isprintable():
        raise click.UsageError(f"--reason is one line of at most {LONGEST_REASON} characters.")
    if _PERSONAL.search(_UUID.sub("", stated)):
        raise click.UsageError(
            "--reason is kept for ever, and this one holds what looks like an address or a "
            "number of a person."
        )
    return Order(
        operator=(actor or "").strip() or operator().id or "unknown",
        reason=stated,
        rate=rate,
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


def order_and_selection(options: Mapping[str, Any]) -> tuple[Order, Selection]:
    """Part the *options* of a command into how it is to be done, and what it is about."""
    chosen = {name: value for name, value in options.items() if name not in HOW}
    return order(**{name: options[name] for name in HOW}), selection(**chosen)


@asynccontextmanager
async def at_head(place: Target) -> AsyncIterator[Any]:
    """Open a connection to a database whose schema this release runs on.

    Raises:
        Refused: it has another one; nothing has been touched.
    """
    async with connected(place) as connection:
        version = await read_version(connection)
        if version.state == "behind":
            raise Refused(
                f"the database is at migration {version.revision or 'none'}, and this release "
                f"wants {head()}; nothing was touched.",
                "`govid migrate` brings it up.",
            )
        if fault := version.fault():
            raise Refused(f"{fault}; nothing was touched.")
        yield connection


def subscriptions_of(place: Target) -> Subscriptions:
    """Return who is subscribed to what in this release."""
    # The modules bring a web framework with them, which only those who act have to wait for.
    from govid.gateway.wiring import build  # noqa: PLC0415

    settings = place.settings
    state = StateFolder(settings.data_dir).read()
    settings = load({"GOVID_DATABASE_URL": place.database_url, **folder_secrets(settings, state)})
    try:
        return build(settings).bus.subscriptions
    except ValueError as error:
        raise CommandError(
            f"the settings do not make a house: {error}.", "`govid check` lists every fault."
        ) from error


def acts_of(place: Target, connection: Any, subscriptions: Subscriptions) -> Acts:
    """Return what commits acts, and addresses their events to whoever wants them."""
    sealer = Sealer(Catalogue(), Pseudonyms(place.settings.bus.pseudonym_key))
    return Acts(connection, PostgresOutbox(sealer, subscriptions))


async def carry_out(phase: str, total: int, steps: AsyncIterator[Step]) -> int:
    """Go through the *steps* of an act that is to touch *total* deliveries; return how many it did.

    Raises:
        CommandError: somebody else is at it, or was faster with all of them.
    """
    done = 0
    with Progress(phase, total) as progress:
        try:
            async for step in steps:
                done = step.done
                progress.at(done)
        except ActRunning as error:
            raise CommandError(
                "another replay or backfill runs on this database; nothing was touched.",
                "Wait until it has ended.",
            ) from error
        except (KeyboardInterrupt, asyncio.CancelledError):
            note(f"Stopped after {done} of {total}; the same command does the rest.")
            raise
    if done == 0:
        raise CommandError(
            f"none of {total} was left to do: somebody else was faster.",
            "`govid outbox groups` shows what is stuck now.",
        )
    if done < total:
        note(f"{total - done} of {total} were settled by somebody else meanwhile.")
    return done


def report(
    ordered: Order, counts: Mapping[str, int], verb: str, done: int | None, act: Act | None
) -> None:
    """Print what was done, or what would be."""
    output = ordered.output
    if output.as_json:
        output.document(
            {
                "deliveries": sum(counts.values()),
                "by_subscriber": counts,
                verb: done,
                "act": act and act.id,
            }
        )
    else:
        output.table(("subscriber", "deliveries"), [*counts.items()])
