"""`govid accounts`: shows, blocks, restores and repairs one account."""

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid import identity
from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.acting import OperatorOptions, parse_operator_options
from govid.gateway.cli.errors import CommandRefused
from govid.gateway.cli.forgiving import forgive
from govid.gateway.cli.operating import (
    account_command_options,
    build_operation_context,
    open_identity,
)
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.releasing import release
from govid.gateway.cli.settings import find_installation
from govid.gateway.cli.sought import AccountSelector, account_selector, find_account, select_account
from govid.gateway.cli.viewing import record_data_view
from govid.identity import LifeEventKind

if TYPE_CHECKING:
    from govid.identity import AccountReport


class AccountCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that changes the account status: its kind, its prompt and its final message."""

    kind: LifeEventKind
    question: str
    after: str


BLOCK = AccountCommand(
    kind=LifeEventKind.BLOCK,
    question="Block this account and revoke its {} sessions?",
    after="It is blocked from its next request on. To undo: `govid accounts restore {}`.",
)
RESTORE = AccountCommand(
    kind=LifeEventKind.RESTORE,
    question="Restore this account?",
    after="The account holder must sign in again. Cancelled appointments stay cancelled. History: "
    "`govid accounts show {}`.",
)


@click.group("accounts", cls=rich_click.RichGroup, epilog="Example: govid accounts show --email")
def command() -> None:
    """Show an account's status and history, block it or restore it."""


@command.command("show", epilog="Example: govid accounts show --email")
@select_account
@json_option
def show(as_json: bool, **values: Any) -> None:
    """Show an account's status and its history: every notice and its outcome.

    Shows no data that identifies the account holder.
    """
    selector = account_selector(**values)

    async def fetch_report() -> "AccountReport":
        context = build_operation_context("show")
        async with open_identity() as services:
            account_id = await find_account(services.administration, selector, context)
            report = await services.administration.fetch_report(account_id, context)
        await record_data_view(find_installation(), "accounts show", account_id=account_id)
        return report

    report = asyncio.run(fetch_report())
    output = Output(as_json=as_json)
    if as_json:
        output.print_document(report)
        return
    output.print_mapping(
        {**msgspec.structs.asdict(report.account), "death_stands": report.has_death_notice}
    )
    if report.history:
        columns = ("id", "kind", "occurred_at", "outcome", "operator", "stated_reason")
        click.echo()
        output.print_table(
            columns,
            [[getattr(line, name) for name in columns] for line in report.history],
            optional_columns=("id",),
        )


@command.command("block", epilog="Example: govid accounts block --email --reason 'stolen, case 71'")
@select_account
@account_command_options
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
@select_account
@click.option(
    "--reverse-death",
    is_flag=True,
    help="Confirm that the account holder is alive; required after a death notice.",
)
@account_command_options
def restore(**values: Any) -> None:
    """Restore a blocked account to its previous status. Older notices have no effect any more.

    Old tokens and sessions stay revoked, and cancelled appointments stay cancelled.
    """
    _change_status(RESTORE, **values)


def _change_status(
    account_command: AccountCommand,
    account_id: UUID | None,
    email: bool,
    identifier: bool,
    reverse_death: bool = False,
    **values: Any,
) -> None:
    options = parse_operator_options(rate=None, **values)
    selector = account_selector(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_apply_change(account_command, selector, options, reverse_death=reverse_death))


async def _apply_change(
    account_command: AccountCommand,
    selector: AccountSelector,
    options: OperatorOptions,
    *,
    reverse_death: bool,
) -> None:
    context = build_operation_context(options.operator)
    async with open_identity(writes=not options.dry_run) as services:
        administration = services.administration
        account_id = await find_account(administration, selector, context)
        report = await administration.fetch_report(account_id, context)
        account = report.account
        identity.require_status_change(account_command.kind, account.status)
        if (
            account_command.kind is LifeEventKind.RESTORE
            and report.has_death_notice
            and not reverse_death
        ):
            raise CommandRefused(
                "a death notice is in force for this account; nothing was changed.",
                f"`govid accounts show {account_id}` shows it. If the account holder is alive, add "
                "--reverse-death.",
            )
        after = (
            AccountStatus.BLOCKED
            if account_command.kind is LifeEventKind.BLOCK
            else account.status_before
        )
        if not options.dry_run:
            confirm(account_command.question.format(account.sessions), yes=options.yes)
            await administration.change_status(
                account_command.kind,
                account_id,
                reason=options.reason,
                cause=context,
                reverse_death=reverse_death,
            )
        options.output.print_mapping(
            {
                "account_id": account_id,
                "status_before": account.status,
                "status": after,
                "sessions": account.sessions,
                "done": not options.dry_run,
            }
        )
        print_note(
            "Nothing was changed." if options.dry_run else account_command.after.format(account_id)
        )


command.add_command(forgive)
command.add_command(release)
