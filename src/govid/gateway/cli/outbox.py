"""`govid outbox`: what is owed to whom, and delivering it again."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid.bus.inspection import STATES, EventDetail, Inspection
from govid.bus.replay import Replay, ReplayRunning
from govid.bus.selection import Selection
from govid.gateway.cli.audit import operator, write_audit_lines
from govid.gateway.cli.errors import CommandError, Refused, WrongUsage
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.progress import Progress
from govid.gateway.cli.selectors import selection, selectors
from govid.gateway.cli.settings import connected, target


@click.group("outbox", cls=rich_click.RichGroup, epilog="Example: govid outbox status")
def command() -> None:
    """Inspect what is owed to whom, and deliver it again."""


@command.command(epilog="Example: govid outbox status --json")
@json_option
def status(as_json: bool) -> None:
    """Show each subscriber's debts: pending, age of the oldest, stuck keys, dead."""

    async def ask() -> None:
        async with connected(target()) as connection:
            found = await Inspection(connection).status()
        columns = ("subscriber", "pending", "oldest_seconds", "waiting_keys", "parked_keys", "dead")
        Output(as_json=as_json).table(columns, [msgspec.structs.astuple(row) for row in found])

    asyncio.run(ask())


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
            found = await Inspection(connection).find(wanted, state=state, limit=limit)
        columns = (
            "id", "type", "key", "seq", "topic", "stored_at", "subscriber", "state", "attempts",
            "reason",
        )  # fmt: skip
        Output(as_json=as_json).table(columns, [msgspec.structs.astuple(row) for row in found])

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
    output.table(columns, [[line[name] for name in columns] for line in detail.deliveries])


@command.command(
    epilog="Example: govid outbox replay --subscriber kafka.relay --since 2h "
    "--reason 'consumer lost its data' --dry-run"
)
@selectors
@click.option("--reason", help="Why. Audited, so without anything personal.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Deliveries a second.")
@click.option("--dry-run", is_flag=True, help="Count what would be touched, and touch nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def replay(
    reason: str | None, rate: float | None, dry_run: bool, yes: bool, as_json: bool, **chosen: Any
) -> None:
    """Deliver again what was delivered before, with the same event ids.

    A handler that has done its work does nothing; the relay publishes again, marked by a header.
    """
    chosen_events = selection(**chosen)
    if chosen_events.is_empty:
        raise click.UsageError("Say what to replay: by id, key, type, topic, subscriber or time.")
    if not dry_run and not (reason and reason.strip()):
        raise click.UsageError("A replay is audited: give --reason (or --dry-run).")
    asyncio.run(
        _replay(
            chosen_events,
            reason=reason or "",
            rate=rate,
            dry_run=dry_run,
            yes=yes,
            output=Output(as_json=as_json),
        )
    )


async def _replay(
    chosen: Selection, *, reason: str, rate: float | None, dry_run: bool, yes: bool, output: Output
) -> None:
    place = target()
    async with connected(place) as connection:
        plan = Replay(connection)
        counts = await plan.count(chosen)
        total = sum(counts.values())
        if total == 0:
            await _explain_nothing(plan, chosen)
        if dry_run:
            _result(output, counts, replayed=None)
            return
        _confirm(total, yes)
        done = 0
        write_audit_lines()
        with Progress("Replaying", total) as progress:
            try:
                async for state in plan.run(chosen, actor=operator(), reason=reason, rate=rate):
                    done = state.done
                    progress.at(done)
            except ReplayRunning as error:
                raise CommandError(
                    "another replay runs on this database.", "Wait until it has ended."
                ) from error
            except (KeyboardInterrupt, asyncio.CancelledError):
                note(f"Stopped after {done} of {total}; the same command does the rest.")
                raise
        _result(output, counts, replayed=done)


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


def _confirm(total: int, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal nobody can be asked: give --yes.")
    click.confirm(f"Deliver {total} again?", abort=True, err=True)


def _result(output: Output, counts: Mapping[str, int], *, replayed: int | None) -> None:
    if output.as_json:
        output.document(
            {"deliveries": sum(counts.values()), "by_subscriber": counts, "replayed": replayed}
        )
        return
    output.table(("subscriber", "deliveries"), [*counts.items()])
    note(
        f"{sum(counts.values())} would be delivered again."
        if replayed is None
        else f"{replayed} will be delivered again."
    )
