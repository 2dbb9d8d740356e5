"""`govid accounts release`: releases the identifier of an account."""

import asyncio
from typing import Any
from uuid import UUID

import click
import rich_click

from govid.bus.shared.account_status import AccountStatus
from govid.gateway.cli.acting import Order, order
from govid.gateway.cli.operating import acting_on_account, cause_of, people
from govid.gateway.cli.output import note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.sought import Sought, find, sought_by, which_account

_RELEASE_QUESTION = "Release the identifier of this account?"
_VERIFIED_QUESTION = "Release the identifier of this account, which a department has confirmed?"


@click.command(
    "release",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts release --identifier --reason 'passport seen, case 74'",
)
@which_account
@click.option(
    "--verified", is_flag=True, help="Also release an identifier that a department has confirmed."
)
@acting_on_account
def release(
    account_id: UUID | None, email: bool, identifier: bool, verified: bool, **values: Any
) -> None:
    """Release the identifier of an account, so that it can be registered again.

    A pending or failed account continues without an identifier, as after GOVID_CLAIM_DAYS; a
    closed account stays closed. A verified account needs --verified; a blocked account keeps its
    identifier. The attempts stay used: run `govid accounts forgive` first if the account holder
    is to be verified.
    """
    options = order(rate=None, **values)
    selector = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_release_identifier(selector, options, verified=verified))


async def _release_identifier(selector: Sought, options: Order, *, verified: bool) -> None:
    context = cause_of(options.operator)
    async with people(writes=not options.dry_run) as services:
        account_id = await find(services.desk, selector, context)
        found = await services.claims.check(account_id, context, verified=verified)
        if not options.dry_run:
            confirmed = found.status is AccountStatus.VERIFIED
            confirm(_VERIFIED_QUESTION if confirmed else _RELEASE_QUESTION, yes=options.yes)
            await services.claims.release(
                account_id, reason=options.reason, cause=context, verified=verified
            )
        options.output.mapping(
            {
                "account_id": account_id,
                "status_before": found.status,
                "status": found.status_after,
                "done": not options.dry_run,
            }
        )
        note(
            "Nothing was changed."
            if options.dry_run
            else "The identifier can be registered from now on."
        )
