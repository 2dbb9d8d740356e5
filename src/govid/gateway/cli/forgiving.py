"""`govid accounts forgive`: attempts to prove an identifier, given back."""

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

_QUESTION = "Give back {} attempts of this account, and {} at its identifier?"


@click.command(
    "forgive",
    cls=rich_click.RichCommand,
    epilog="Example: govid accounts forgive --identifier --reason 'passport seen, case 73'",
)
@which_account
@acting_on_account
def forgive(account_id: UUID | None, email: bool, identifier: bool, **how: Any) -> None:
    """Give an account, and the identifier that it holds, their attempts at verification back.

    Two wrong ones spend an identifier for everybody, its holder too. For whoever has shown
    otherwise that it is theirs: they say who they are once more, by POST /api/auth/verification.
    """
    ordered = order(rate=None, **how)
    sought = sought_by(account_id=account_id, email=email, identifier=identifier)
    asyncio.run(_carry_out(sought, ordered))


async def _carry_out(sought: Sought, ordered: Order) -> None:
    cause = cause_of(ordered.operator)
    # Also to look takes the key: under another one, an identifier's attempts are not found.
    async with people(writes=True) as identity:
        account_id = await find(identity.desk, sought, cause)
        spent = await identity.forgiveness.look(account_id, cause)
        if not ordered.dry_run:
            confirm(_QUESTION.format(spent.of_account, spent.of_identifier), yes=ordered.yes)
            spent = await identity.forgiveness.forgive(
                account_id, reason=ordered.reason, cause=cause
            )
        ordered.output.mapping(
            {
                "account_id": account_id,
                "status": spent.status,
                "attempts_of_account": spent.of_account,
                "attempts_of_identifier": spent.of_identifier,
                "done": not ordered.dry_run,
            }
        )
        note("Nothing was changed." if ordered.dry_run else "They can try twice from now on.")
