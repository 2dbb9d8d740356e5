"""Selects the account that a command acts on: by its id, or by an address or number.

Addresses and identifiers are personal data and never arguments: other users of the machine can see
the command line, and the shell keeps it in its history. They are typed or piped in instead.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click
import msgspec

from govid.bus import OperationContext
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.prompts import prompt_line

if TYPE_CHECKING:
    from govid.identity import AccountAdministration

F = TypeVar("F", bound=Callable[..., Any])


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


class AccountSelector(msgspec.Struct, frozen=True, kw_only=True):
    """How the account is selected: by its id, or by a typed address or identifier."""

    account_id: UUID | None
    email: bool
    identifier: bool

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Sought>"


def select_account(function: F) -> F:
    """Add the options that select an account to a command."""
    options = (
        click.argument("account_id", type=AccountIdType(), required=False),
        click.option(
            "--email", is_flag=True, help="Find it by its e-mail address, typed at the prompt."
        ),
        click.option(
            "--identifier",
            is_flag=True,
            help="Find it by its NHS or NI number, typed at the prompt.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def account_selector(*, account_id: UUID | None, email: bool, identifier: bool) -> AccountSelector:
    """Build the account selector from the values of the options.

    Raises:
        click.UsageError: not exactly one of the options was given.
    """
    if [account_id is not None, email, identifier].count(True) != 1:
        raise click.UsageError("Select one account: by its id, by --email or by --identifier.")
    return AccountSelector(account_id=account_id, email=email, identifier=identifier)


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
        raise CommandError("there is no such account.", "Is it written as it was registered?")
    return found[0]
