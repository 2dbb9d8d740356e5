"""`govid accounts`: shows, blocks, restores and repairs one account."""

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
    """A command that changes the account status: its kind, its prompt and its final message."""

    kind: Kind
    question: str
    after: str


BLOCK = Deed(
    kind=Kind.BLOCK,
    question="Block this account and revoke its {} sessions?",
    after="It is blocked from its next request on. To undo: `govid accounts restore {}`.",
)
RESTORE = Deed(
    kind=Kind.RESTORE,
    question="Restore this account?",
    after="The account holder must sign in again. Cancelled appointments stay cancelled. History: "
    "`govid accounts show {}`.",
)


@click.group("accounts", cls=rich_click.RichGroup, epilog="Example: govid accounts show --email")
def command() -> None:
    """Show an account's status and history, block it or restore it."""


@command.command("show", epilog="Example: govid accounts show --email")
@which_account
@json_option
def show(as_json: bool, **values: Any) -> None:
    """Show an account's status and its history: every notice and its outcome.

    Shows no data that identifies the account holder.
    """
    selector = sought_by(**values)

    async def fetch_report() -> "AccountReport":
        context = cause_of("show")
        async with people() as services:
            account_id = await find(services.desk, selector, context)
            report = await services.desk.show(account_id, context)
        await record_view(target(), "accounts show", account_id=account_id)
        return report

    report = asyncio.run(fetch_report())
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
def block(**values: Any) -> None:
    """Block an account: revoke its sessions, refuse login, cancel future appointments.

    Use it if a notice would come too late, or if the account was taken over.
    """
    _change_status(BLOCK, **values)


@command.command(
    "restore",
    epilog="Example: govid accounts restore 0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e "
    "--reason 'the notice was about another person, case 72'",
)
@which_account
@click.option(
    "--reverse-death",
    is_flag=True,
    help="Confirm that the account holder is alive; required after a death notice.",
)
@acting_on_account
def restore(**values: Any) -> None:
    """Restore a blocked account to its previous status. Older notices have no effect any more.

    Old tokens and sessions stay revoked, and cancelled appointments stay cancelled.
    """
    _change_status(RESTORE, **values)


def _change_status(
    account_command: Deed,
    account_id: UUID | None,
    email: bool,
    identifier: bool,
    reverse_death: bool = False,
    **values: Any,
) -> None:
    options = order(rate=None, **values)
    selector = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_apply_change(account_command, selector, options, reverse_death=reverse_death))


async def _apply_change(
    account_command: Deed, selector: Sought, options: Order, *, reverse_death: bool
) -> None:
    context = cause_of(options.operator)
    async with people(writes=not options.dry_run) as services:
        administration = services.desk
        account_id = await find(administration, selector, context)
        report = await administration.show(account_id, context)
        account = report.account
        identity.refuse(account_command.kind, account.status)
        if account_command.kind is Kind.RESTORE and report.death_stands and not reverse_death:
            raise Refused(
                "a death notice is in force for this account; nothing was changed.",
                f"`govid accounts show {account_id}` shows it. If the account holder is alive, add "
                "--reverse-death.",
            )
        after = (
            AccountStatus.BLOCKED if account_command.kind is Kind.BLOCK else account.status_before
        )
        if not options.dry_run:
            confirm(account_command.question.format(account.sessions), yes=options.yes)
            await administration.act(
                account_command.kind,
                account_id,
                reason=options.reason,
                cause=context,
                reverse_death=reverse_death,
            )
        options.output.mapping(
            {
                "account_id": account_id,
                "status_before": account.status,
                "status": after,
                "sessions": account.sessions,
                "done": not options.dry_run,
            }
        )
        note(
            "Nothing was changed." if options.dry_run else account_command.after.format(account_id)
        )


command.add_command(forgive)
command.add_command(release)
