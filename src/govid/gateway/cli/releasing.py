"""`govid accounts release`: an identifier that a stranger claims, free for whom it belongs to."""

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

_QUESTION = "Take this account's identifier, which nobody has proved to be its holder's?"


@click.command(
    "release",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts release --identifier --reason 'passport seen, case 74'",
)
@which_account
@acting_on_account
def release(account_id: UUID | None, email: bool, identifier: bool, **how: Any) -> None:
    """Let an identifier be registered anew that an account claims and nobody has proved.

    The account goes on without one, as it would after GOVID_CLAIM_DAYS. What was spent on the
    identifier stays spent: `govid accounts forgive` first, if its holder is to be verified.
    """
    ordered = order(rate=None, **how)
    sought = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_carry_out(sought, ordered))


async def _carry_out(sought: Sought, ordered: Order) -> None:
    cause = cause_of(ordered.operator)
    async with people(writes=not ordered.dry_run) as identity:
        account_id = await find(identity.desk, sought, cause)
        status = await identity.claims.look(account_id, cause)
        if not ordered.dry_run:
            confirm(_QUESTION, yes=ordered.yes)
            await identity.claims.release(account_id, reason=ordered.reason, cause=cause)
        ordered.output.mapping(
            {
                "account_id": account_id,
                "status_before": status,
                "status": AccountStatus.REGISTERED,
                "done": not ordered.dry_run,
            }
        )
        note("Nothing was changed." if ordered.dry_run else "It can be registered from now on.")
