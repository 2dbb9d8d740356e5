"""`govid accounts`: how it stands with one account, and what an operator may do about it.

Whose account it is goes into no argument: the command line is seen by everybody on the machine and
kept in the shell's history. What is typed, or piped in, is neither.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import click
import msgspec
import rich_click

from govid.bus import Actor, Cause, GovidError, uuid7
from govid.gateway.cli.acting import Order, confirm, order
from govid.gateway.cli.errors import CommandError, Refused
from govid.gateway.cli.house import house_at
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.settings import target
from govid.identity import AccountDesk, AccountReport, Kind, refuse

F = TypeVar("F", bound=Callable[..., Any])


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What one command does to an account, and how it speaks of it."""

    kind: Kind
    question: str
    after: str


class AccountId(click.types.UUIDParameterType):
    """An account's id; what is none is not repeated, as it may say whose account it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Return the id that *value* spells."""
        try:
            return UUID(str(value).strip())
        except ValueError:
            self.fail(
                "this is no account's id. To find an account by its address say --email, by its "
                "number --identifier, and type it then: arguments stay in the shell's history.",
                param,
                ctx,
            )


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """The account that is meant: by its id, or by what is typed."""

    account_id: UUID | None
    email: bool
    identifier: bool

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Sought>"


BLOCK = Deed(
    kind=Kind.BLOCK,
    question="Block this account, and end its {} sessions?",
    after="It is blocked from its next request on. Back: `govid accounts restore {}`.",
)
RESTORE = Deed(
    kind=Kind.RESTORE,
    question="Give this account back to its holder?",
    after="Its holder has to sign in anew. What was cancelled stays cancelled. Its history: "
    "`govid accounts show {}`.",
)


def which_account(function: F) -> F:
    """Give a command the ways to say which account."""
    options = (
        click.argument("account_id", type=AccountId(), required=False),
        click.option("--email", is_flag=True, help="Find it by the address that you type then."),
        click.option(
            "--identifier", is_flag=True, help="Find it by the NHS or NI number that you type then."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def acting(function: F) -> F:
    """Give a command the options of an act on one account."""
    options = (
        click.option("--reason", help="Why. Kept for ever, so it may name nobody."),
        click.option("--actor", help="Who acts.  [default: the user of this system]"),
        click.option("--dry-run", is_flag=True, help="Show what would change, change nothing."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        json_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group("accounts", cls=rich_click.RichGroup, epilog="Example: govid accounts show --email")
def command() -> None:
    """Look at one account's standing, block it, or give it back to its holder."""


@command.command("show", epilog="Example: govid accounts show --email")
@which_account
@json_option
def show(as_json: bool, **which: Any) -> None:
    """Show an account's standing and its history: what was said of it, and what came of that.

    Nothing is shown that tells whose account it is.
    """
    sought = _sought(**which)

    async def ask() -> AccountReport:
        cause = _cause("show")
        async with _desk() as desk:
            return await desk.show(await _find(desk, sought, cause), cause)

    report = asyncio.run(ask())
    output = Output(as_json=as_json)
    if as_json:
        output.document(report)
        return
    output.mapping(msgspec.structs.asdict(report.account))
    if report.history:
        columns = ("id", "kind", "occurred_at", "outcome", "operator", "stated_reason")
        click.echo()
        output.table(
            columns, [[getattr(line, name) for name in columns] for line in report.history]
        )


@command.command("block", epilog="Example: govid accounts block --email --reason 'stolen, case 71'")
@which_account
@acting
def block(**options: Any) -> None:
    """Block an account: every session ends, nobody signs in, appointments to come are cancelled.

    For what cannot wait for a notice, and for accounts in the wrong hands.
    """
    _act(BLOCK, **options)


@command.command(
    "restore",
    epilog="Example: govid accounts restore 0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e "
    "--reason 'the notice was about somebody else, case 72'",
)
@which_account
@acting
def restore(**options: Any) -> None:
    """Give a blocked account back, in the state that it had. Older notices stay without effect.

    Old tokens and sessions stay dead, and cancelled appointments cancelled.
    """
    _act(RESTORE, **options)


def _act(
    deed: Deed,
    account_id: UUID | None,
    email: bool,
    identifier: bool,
    **how: Any,
) -> None:
    ordered = order(rate=None, **how)
    sought = _sought(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_carry_out(deed, sought, ordered))


async def _carry_out(deed: Deed, sought: Sought, ordered: Order) -> None:
    cause = _cause(ordered.operator)
    async with _desk(writes=not ordered.dry_run) as desk:
        account_id = await _find(desk, sought, cause)
        account = (await desk.show(account_id, cause)).account
        refuse(deed.kind, account.status)
        after = "blocked" if deed.kind is Kind.BLOCK else account.status_before
        if not ordered.dry_run:
            confirm(deed.question.format(account.sessions), yes=ordered.yes)
            await desk.act(deed.kind, account_id, reason=ordered.reason, cause=cause)
        ordered.output.mapping(
            {
                "account_id": account_id,
                "status_before": account.status,
                "status": after,
                "sessions": account.sessions,
                "done": not ordered.dry_run,
            }
        )
        note("Nothing was changed." if ordered.dry_run else deed.after.format(account_id))


def _sought(account_id: UUID | None, email: bool, identifier: bool) -> Sought:
    if [account_id is not None, email, identifier].count(True) != 1:
        raise click.UsageError("Say which account: its id, or --email, or --identifier.")
    return Sought(account_id=account_id, email=email, identifier=identifier)


async def _find(desk: AccountDesk, sought: Sought, cause: Cause) -> UUID:
    if sought.account_id is not None:
        return sought.account_id
    if sought.email:
        found = await desk.find_by_email(_typed("E-mail address"), cause)
    else:
        found = await desk.find_by_identifier(_typed("NHS or National Insurance number"), cause)
    if len(found) > 1:
        raise CommandError(
            "there are several such accounts; nothing was touched.",
            "Say which by its id: " + ", ".join(map(str, found)) + ".",
        )
    if not found:
        raise CommandError("there is no such account.", "Is it written as it was registered?")
    return found[0]


def _typed(what: str) -> str:
    """Return what somebody types, or the first line that is piped in."""
    if sys.stdin.isatty():
        typed: str = click.prompt(what, err=True)
        return typed.strip()
    return sys.stdin.readline().strip()


@asynccontextmanager
async def _desk(*, writes: bool = False) -> AsyncIterator[AccountDesk]:
    """Open the desk of this folder's database; a refusal becomes a sentence."""
    place = target()
    if writes and not place.is_demonstration and not place.settings.is_set("GOVID_PSEUDONYM_KEY"):
        raise Refused(
            "GOVID_PSEUDONYM_KEY is not set, and the history could not be read with another key.",
            "Give this command the key that the server has.",
        )
    async with house_at(place) as house:
        try:
            yield house.people.desk
        except GovidError as error:
            raise CommandError(f"{error.detail[0].lower()}{error.detail[1:]}.") from error


def _cause(operator: str) -> Cause:
    return Cause(correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator))
