"""`govid accounts release`: releases the identifier of an account."""

import asyncio
from typing import Any
from uuid import UUID

import click
import rich_click

from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.acting import OperatorOptions, parse_operator_options
from govid.gateway.cli.operating import (
    account_command_options,
    build_operation_context,
    open_identity,
)
from govid.gateway.cli.output import print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.sought import AccountSelector, account_selector, find_account, select_account

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
@account_command_options
def release(
    account_id: UUID | None, email: bool, identifier: bool, verified: bool, **values: Any
) -> None:
    """Release the identifier of an account, so that it can be registered again.

    A pending or failed account continues without an identifier, as after GOVID_CLAIM_DAYS; a
    closed account stays closed. A verified account needs --verified; a blocked account keeps its
    identifier. The attempts stay used: run `govid accounts forgive` first if the account holder
    is to be verified.
    """
    options = parse_operator_options(rate=None, **values)
    selector = account_selector(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_release_identifier(selector, options, verified=verified))


async def _release_identifier(
    selector: AccountSelector, options: OperatorOptions, *, verified: bool
) -> None:
    context = build_operation_context(options.operator)
    async with open_identity(writes=not options.dry_run) as services:
        account_id = await find_account(services.administration, selector, context)
        found = await services.claim_release.preview(account_id, context, verified=verified)
        if not options.dry_run:
            confirmed = found.status is AccountStatus.VERIFIED
            confirm(_VERIFIED_QUESTION if confirmed else _RELEASE_QUESTION, yes=options.yes)
            await services.claim_release.release(
                account_id, reason=options.reason, cause=context, verified=verified
            )
        options.output.print_mapping(
            {
                "account_id": account_id,
                "status_before": found.status,
                "status": found.status_after,
                "done": not options.dry_run,
            }
        )
        print_note(
            "Nothing was changed."
            if options.dry_run
            else "The identifier can be registered from now on."
        )
