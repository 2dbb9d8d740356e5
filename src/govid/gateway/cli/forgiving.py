"""`govid accounts forgive`: resets the verification attempts of an account."""

import asyncio
from typing import Any
from uuid import UUID

import click
import rich_click

from govid.gateway.cli.acting import Order, order
from govid.gateway.cli.operating import acting_on_account, cause_of, people
from govid.gateway.cli.output import note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.sought import Sought, find, sought_by, which_account

_FORGIVE_QUESTION = "Reset {} attempts of this account and {} of its identifier?"


@click.command(
    "forgive",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts forgive --identifier --reason 'passport seen, case 73'",
)
@which_account
@acting_on_account
def forgive(account_id: UUID | None, email: bool, identifier: bool, **values: Any) -> None:
    """Reset the verification attempts of an account and of its identifier.

    After two failed attempts no account can verify the identifier. Use this once the account
    holder has proved their identity in another way; they then verify it again by POST
    /api/auth/verification.
    """
    options = order(rate=None, **values)
    selector = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_reset_attempts(selector, options))


async def _reset_attempts(selector: Sought, options: Order) -> None:
    context = cause_of(options.operator)
    # The preview needs the key too: with another key the identifier's attempts are not found.
    async with people(writes=True) as services:
        account_id = await find(services.desk, selector, context)
        spent = await services.forgiveness.look(account_id, context)
        if not options.dry_run:
            confirm(
                _FORGIVE_QUESTION.format(spent.of_account, spent.of_identifier), yes=options.yes
            )
            spent = await services.forgiveness.forgive(
                account_id, reason=options.reason, cause=context
            )
        options.output.mapping(
            {
                "account_id": account_id,
                "status": spent.status,
                "attempts_of_account": spent.of_account,
                "attempts_of_identifier": spent.of_identifier,
                "done": not options.dry_run,
            }
        )
        note(
            "Nothing was changed." if options.dry_run else "Two attempts are possible from now on."
        )
