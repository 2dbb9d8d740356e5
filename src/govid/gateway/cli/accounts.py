"""`govid accounts`: how it stands with one account, and what an operator may do about it."""

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid import identity
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.acting import Order, order
from govid.gateway.cli.errors import Refused
from govid.gateway.cli.forgiving import forgive
from govid.gateway.cli.operating import acting_on_account, cause_of, people
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.releasing import release
from govid.gateway.cli.settings import target
from govid.gateway.cli.sought import Sought, find, sought_by, which_account
from govid.gateway.cli.viewing import record_view
from govid.identity import Kind

if TYPE_CHECKING:
    from govid.identity import AccountReport


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What one command does to an account, and how it speaks of it."""

    kind: Kind
    question: str
    after: str


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
    sought = sought_by(**which)

    async def ask() -> "AccountReport":
        cause = cause_of("show")
        async with people() as opened:
            account_id = await find(opened.desk, sought, cause)
            report = await opened.desk.show(account_id, cause)
        await record_view(target(), "accounts show", account_id=account_id)
        return report

    report = asyncio.run(ask())
    output = Output(as_json=as_json)
    if as_json:
        output.document(report)
        return
    output.mapping({**msgspec.structs.asdict(report.account), "death_stands": report.death_stands})
    if report.history:
        columns = ("id", "kind", "occurred_at", "outcome", "operator", "stated_reason")
        click.echo()
        output.table(
            columns,
            [[getattr(line, name) for name in columns] for line in report.history],
            least=("id",),
        )


@command.command("block", epilog="Example: govid accounts block --email --reason 'stolen, case 71'")
@which_account
@acting_on_account
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
@click.option(
    "--reverse-death",
    is_flag=True,
    help="Say that the holder is alive: without it, no account is given back against a death.",
)
@acting_on_account
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
    reverse_death: bool = False,
    **how: Any,
) -> None:
    ordered = order(rate=None, **how)
    sought = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_carry_out(deed, sought, ordered, reverse_death=reverse_death))


async def _carry_out(deed: Deed, sought: Sought, ordered: Order, *, reverse_death: bool) -> None:
    cause = cause_of(ordered.operator)
    async with people(writes=not ordered.dry_run) as opened:
        desk = opened.desk
        account_id = await find(desk, sought, cause)
        report = await desk.show(account_id, cause)
        account = report.account
        identity.refuse(deed.kind, account.status)
        if deed.kind is Kind.RESTORE and report.death_stands and not reverse_death:
            raise Refused(
                "a notice of death stands against this account; nothing was touched.",
                f"`govid accounts show {account_id}` shows it. If its holder is alive, say so with "
                "--reverse-death.",
            )
        after = AccountStatus.BLOCKED if deed.kind is Kind.BLOCK else account.status_before
        if not ordered.dry_run:
            confirm(deed.question.format(account.sessions), yes=ordered.yes)
            await desk.act(
                deed.kind,
                account_id,
                reason=ordered.reason,
                cause=cause,
                reverse_death=reverse_death,
            )
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


command.add_command(forgive)
command.add_command(release)
