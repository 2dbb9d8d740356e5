"""`govid accounts`: shows, blocks and restores an account, resets attempts, releases identifiers.

An account is selected by its id, or by an e-mail address or identifier. These are personal data and
never arguments: other users of the machine can see the command line, and the shell keeps it in its
history. They are typed or piped in instead.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid import identity
from govid.bus import OperationContext
from govid.bus.shared.contract import AccountStatus
from govid.bus.shared.privacy import RedactedStruct
from govid.gateway.cli.components import build_operation_context, open_identity
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.operator import (
    OperatorOptions,
    operator_options,
    parse_operator_options,
    record_data_view,
)
from govid.gateway.cli.output import Output, apply_options, json_option, print_note
from govid.gateway.cli.prompts import confirm, prompt_line
from govid.gateway.cli.target import find_installation
from govid.identity import LifeEventKind

if TYPE_CHECKING:
    from govid.identity import AccountAdministration, AccountReport


class AccountIdType(click.types.UUIDParameterType):
    """An account id. An invalid value is not printed, because it may be personal data."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Parse *value* as an account id."""
        try:
            return UUID(str(value).strip())
        except ValueError:
            self.fail(
                "this is not an account id. To find an account by its e-mail address give --email, "
                "by its number --identifier, and type it at the prompt: arguments stay in the "
                "shell's history.",
                param,
                ctx,
            )


class AccountSelector(RedactedStruct, frozen=True, kw_only=True):
    """How the account is selected: by its id, or by a typed address or identifier."""

    account_id: UUID | None
    email: bool
    identifier: bool


select_account = apply_options(
    click.argument("account_id", type=AccountIdType(), required=False),
    click.option(
        "--email", is_flag=True, help="Find it by its e-mail address, typed at the prompt."
    ),
    click.option(
        "--identifier", is_flag=True, help="Find it by its NHS or NI number, typed at the prompt."
    ),
)
"""Adds the options that select an account; `account_selector` takes their values."""


def account_selector(*, account_id: UUID | None, email: bool, identifier: bool) -> AccountSelector:
    """Build the account selector from the values of the options.

    Raises:
        click.UsageError: none of the options was given, or more than one.
    """
    if [account_id is not None, email, identifier].count(True) != 1:
        raise click.UsageError("Select one account: by its id, by --email or by --identifier.")
    return AccountSelector(account_id=account_id, email=email, identifier=identifier)


def parse_selector_and_options(
    *, account_id: UUID | None, email: bool, identifier: bool, **values: Any
) -> tuple[AccountSelector, OperatorOptions]:
    """Split the values of a command's options into account selector and operator options."""
    options = parse_operator_options(**values)
    return account_selector(account_id=account_id, email=email, identifier=identifier), options


async def find_account(
    administration: "AccountAdministration", selector: AccountSelector, context: OperationContext
) -> UUID:
    """Return the id of the account that *selector* selects.

    Raises:
        CommandError: no account matches, or several do.
    """
    if selector.account_id is not None:
        return selector.account_id
    if selector.email:
        found = await administration.find_by_email(prompt_line("E-mail address"), context)
    else:
        found = await administration.find_by_identifier(
            prompt_line("NHS or National Insurance number"), context
        )
    if len(found) > 1:
        raise CommandError(
            "several accounts match; nothing was changed.",
            "Select one by its id: " + ", ".join(map(str, found)) + ".",
        )
    if not found:
        raise CommandError(
            "there is no such account.",
            "Check the spelling.",
        )
    return found[0]


async def record_preview(options: OperatorOptions, account_id: UUID) -> None:
    """Record that the operator is about to see the account, before a change or without one.

    With --yes nothing is shown before the change, whose own event names the operator.

    Raises:
        BackendUnreachable: it could not be recorded; the caller must show nothing.
    """
    if options.dry_run or not options.yes:
        await record_data_view(
            find_installation(), "accounts show", reason=options.reason, account_id=account_id
        )


_RESET_QUESTION = "Reset {} attempts of this account and {} of its identifier?"


@click.command(
    "forgive",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts forgive --identifier --reason 'passport seen, case 73'",
)
@select_account
@operator_options()
def forgive(**values: Any) -> None:
    """Reset the verification attempts of an account and of its identifier.

    After two failed attempts no account can verify the identifier. Use this once the account
    holder has proved their identity in another way; they then verify it again by POST
    /api/auth/verification.
    """
    selector, options = parse_selector_and_options(**values)
    asyncio.run(_reset_attempts(selector, options))


async def _reset_attempts(selector: AccountSelector, options: OperatorOptions) -> None:
    context = build_operation_context(options.operator)
    # The preview needs the key too: with another key the identifier's attempts are not found.
    async with open_identity(writes=True) as services:
        account_id = await find_account(services.administration, selector, context)
        await record_preview(options, account_id)
        used = await services.attempt_reset.preview(account_id, context)
        if not options.dry_run:
            confirm(_RESET_QUESTION.format(used.by_account, used.for_identifier), yes=options.yes)
            used = await services.attempt_reset.reset(
                account_id, reason=options.reason, context=context
            )
    _print_change(
        options,
        {
            "account_id": account_id,
            "status": used.status,
            "attempts_of_account": used.by_account,
            "attempts_of_identifier": used.for_identifier,
        },
        "Two attempts are possible from now on.",
    )


_RELEASE_QUESTION = "Release the identifier of this account?"
_VERIFIED_QUESTION = "Release the identifier of this account, which a department has confirmed?"


@click.command(
    "release",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts release --identifier --reason 'passport seen, case 74'",
)
@select_account
@click.option(
    "--verified", is_flag=True, help="Also release an identifier that a department has confirmed."
)
@operator_options()
def release(verified: bool, **values: Any) -> None:
    """Release the identifier of an account, so that it can be registered again.

    A pending or failed account continues without an identifier, as after GOVID_CLAIM_DAYS; a
    closed account stays closed. A verified account needs --verified; a blocked account keeps its
    identifier. The attempts stay used: run `govid accounts forgive` first if the account holder
    is to be verified.
    """
    selector, options = parse_selector_and_options(**values)
    asyncio.run(_release_identifier(selector, options, verified=verified))


async def _release_identifier(
    selector: AccountSelector, options: OperatorOptions, *, verified: bool
) -> None:
    context = build_operation_context(options.operator)
    async with open_identity(writes=not options.dry_run) as services:
        account_id = await find_account(services.administration, selector, context)
        await record_preview(options, account_id)
        found = await services.claim_release.preview(account_id, context, verified=verified)
        if not options.dry_run:
            confirmed = found.status is AccountStatus.VERIFIED
            confirm(_VERIFIED_QUESTION if confirmed else _RELEASE_QUESTION, yes=options.yes)
            await services.claim_release.release(
                account_id, reason=options.reason, context=context, verified=verified
            )
    _print_change(
        options,
        {
            "account_id": account_id,
            "status_before": found.status,
            "status": found.status_after,
        },
        "The identifier can be registered from now on.",
    )


class AccountCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that changes the account status: its kind, its prompt and its final message."""

    kind: LifeEventKind
    question: str
    success_text: str


BLOCK = AccountCommand(
    kind=LifeEventKind.BLOCK,
    question="Block this account and revoke its {} sessions?",
    success_text="It is blocked from its next request on. To undo: `govid accounts restore {}`.",
)
RESTORE = AccountCommand(
    kind=LifeEventKind.RESTORE,
    question="Restore this account?",
    success_text="The account holder must sign in again. Cancelled appointments stay cancelled. "
    "History: `govid accounts show {}`.",
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
    # The member keeps the name that scripts of operators know.
    death_notice = {"death_stands": report.has_death_notice}
    if as_json:
        output.print_document(
            {"account": report.account, **death_notice, "history": report.history}
        )
        return
    output.print_mapping({**msgspec.structs.asdict(report.account), **death_notice})
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
@operator_options()
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
@operator_options()
def restore(**values: Any) -> None:
    """Restore a blocked account to its previous status. Older notices have no effect any more.

    Old tokens and sessions stay revoked, and cancelled appointments stay cancelled.
    """
    _change_status(RESTORE, **values)


def _change_status(
    account_command: AccountCommand, *, reverse_death: bool = False, **values: Any
) -> None:
    selector, options = parse_selector_and_options(**values)
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
        await record_preview(options, account_id)
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
                context=context,
                reverse_death=reverse_death,
            )
    _print_change(
        options,
        {
            "account_id": account_id,
            "status_before": account.status,
            "status": after,
            "sessions": account.sessions,
        },
        account_command.success_text.format(account_id),
    )


def _print_change(
    options: OperatorOptions, values: Mapping[str, object], success_text: str
) -> None:
    """Print the account as it is after the change, or as it would be after a dry run."""
    options.output.print_mapping({**values, "done": not options.dry_run})
    print_note("Nothing was changed." if options.dry_run else success_text)


command.add_command(forgive)
command.add_command(release)
