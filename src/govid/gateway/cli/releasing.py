"""`govid accounts release`: takes an identifier from an account, so that it can be registered."""

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

_QUESTION = "Take this account's identifier?"
_VERIFIED_QUESTION = "Take this account's identifier, which a department has confirmed?"


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
    account_id: UUID | None, email: bool, identifier: bool, verified: bool, **how: Any
) -> None:
    """Take an account's identifier, so that it can be registered anew.

    A pending or failed account goes on without one, as after GOVID_CLAIM_DAYS; a closed one stays
    closed. A verified account needs --verified; a blocked one keeps its identifier. Attempts stay
    spent: `govid accounts forgive` first, if the holder is to be verified.
    """
    ordered = order(rate=None, **how)
    sought = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_carry_out(sought, ordered, verified=verified))


async def _carry_out(sought: Sought, ordered: Order, *, verified: bool) -> None:
    cause = cause_of(ordered.operator)
    async with people(writes=not ordered.dry_run) as identity:
        account_id = await find(identity.desk, sought, cause)
        found = await identity.claims.check(account_id, cause, verified=verified)
        if not ordered.dry_run:
            confirmed = found.status is AccountStatus.VERIFIED
            confirm(_VERIFIED_QUESTION if confirmed else _QUESTION, yes=ordered.yes)
            await identity.claims.release(
                account_id, reason=ordered.reason, cause=cause, verified=verified
            )
        ordered.output.mapping(
            {
                "account_id": account_id,
                "status_before": found.status,
                "status": found.status_after,
                "done": not ordered.dry_run,
            }
        )
        note("Nothing was changed." if ordered.dry_run else "It can be registered from now on.")
