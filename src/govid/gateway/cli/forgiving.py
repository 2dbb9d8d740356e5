"""`govid accounts forgive`: resets the verification attempts of an account."""

import asyncio
from typing import Any
from uuid import UUID

import click
import rich_click

from govid.gateway.cli.acting import OperatorOptions, parse_operator_options
from govid.gateway.cli.operating import (
    account_command_options,
    build_operation_context,
    open_identity,
)
from govid.gateway.cli.output import print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.sought import AccountSelector, account_selector, find_account, select_account

_FORGIVE_QUESTION = "Reset {} attempts of this account and {} of its identifier?"


@click.command(
    "forgive",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts forgive --identifier --reason 'passport seen, case 73'",
)
@select_account
@account_command_options
def forgive(account_id: UUID | None, email: bool, identifier: bool, **values: Any) -> None:
    """Reset the verification attempts of an account and of its identifier.

    After two failed attempts no account can verify the identifier. Use this once the account
    holder has proved their identity in another way; they then verify it again by POST
    /api/auth/verification.
    """
    options = parse_operator_options(rate=None, **values)
    selector = account_selector(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_reset_attempts(selector, options))


async def _reset_attempts(selector: AccountSelector, options: OperatorOptions) -> None:
    context = build_operation_context(options.operator)
    # The preview needs the key too: with another key the identifier's attempts are not found.
    async with open_identity(writes=True) as services:
        account_id = await find_account(services.administration, selector, context)
        spent = await services.attempt_reset.preview(account_id, context)
        if not options.dry_run:
            confirm(
                _FORGIVE_QUESTION.format(spent.by_account, spent.for_identifier), yes=options.yes
            )
            spent = await services.attempt_reset.reset(
                account_id, reason=options.reason, cause=context
            )
        options.output.print_mapping(
            {
                "account_id": account_id,
                "status": spent.status,
                "attempts_of_account": spent.by_account,
                "attempts_of_identifier": spent.for_identifier,
                "done": not options.dry_run,
            }
        )
        print_note(
            "Nothing was changed." if options.dry_run else "Two attempts are possible from now on."
        )
