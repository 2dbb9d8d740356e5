"""The account that an operator means.

Whose it is goes into no argument: the command line is seen by everybody on the machine and kept in
the shell's history. What is typed, or piped in, is neither.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click
import msgspec

from govid.bus import Cause
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.prompts import ask_line

if TYPE_CHECKING:
    from govid.identity import AccountDesk

F = TypeVar("F", bound=Callable[..., Any])


class AccountId(click.types.UUIDParameterType):
    """An account's id; what is none is not repeated, as it may say whose account it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Return the id that *value* spells."""
        try:
            return UUID(str(value).strip())
        except ValueError:
            self.fail(
                "this is no account's id. To find an account by its address say --email, by its "
                "number --identifier, and type it then: arguments stay in the shell's history.",
                param,
                ctx,
            )


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """The account that is meant: by its id, or by what is typed."""

    account_id: UUID | None
    email: bool
    identifier: bool

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Sought>"


def which_account(function: F) -> F:
    """Give a command the ways to say which account."""
    options = (
        click.argument("account_id", type=AccountId(), required=False),
        click.option("--email", is_flag=True, help="Find it by the address that you type then."),
        click.option(
            "--identifier", is_flag=True, help="Find it by the NHS or NI number that you type then."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def sought_by(*, account_id: UUID | None, email: bool, identifier: bool) -> Sought:
    """Make one of the options' values.

    Raises:
        click.UsageError: none of the ways was chosen, or several.
    """
    if [account_id is not None, email, identifier].count(True) != 1:
        raise click.UsageError("Say which account: its id, or --email, or --identifier.")
    return Sought(account_id=account_id, email=email, identifier=identifier)


async def find(desk: "AccountDesk", sought: Sought, cause: Cause) -> UUID:
    """Return the id of the account that is *sought*.

    Raises:
        CommandError: there is none, or there are several.
    """
    if sought.account_id is not None:
        return sought.account_id
    if sought.email:
        found = await desk.find_by_email(ask_line("E-mail address"), cause)
    else:
        found = await desk.find_by_identifier(ask_line("NHS or National Insurance number"), cause)
    if len(found) > 1:
        raise CommandError(
            "there are several such accounts; nothing was touched.",
            "Say which by its id: " + ", ".join(map(str, found)) + ".",
        )
    if not found:
        raise CommandError("there is no such account.", "Is it written as it was registered?")
    return found[0]
