"""`govid keys`: the keys that sign access tokens, and their turns."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import rich_click

from govid import identity
from govid.bus import Actor, Cause, uuid7
from govid.gateway.cli.acting import order
from govid.gateway.cli.errors import CommandError, Refused
from govid.gateway.cli.house import house_at
from govid.gateway.cli.operator_keys import reencrypt, status
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.settings import target

if TYPE_CHECKING:
    from govid.identity import Rotation

T = TypeVar("T")

reason_option = click.option("--reason", help="Why. Kept for ever, so it may name nobody.")
actor_option = click.option("--actor", help="Who acts.  [default: the user of this system]")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("keys", cls=rich_click.RichGroup, epilog="Example: govid keys list")
def command() -> None:
    """Show the keys that sign access tokens, and let them take turns without an outage.

    Also the operator's own keys: which rows need which, and encrypting anew.
    """


@command.command("list", epilog="Example: govid keys list --json")
@json_option
def list_keys(as_json: bool) -> None:
    """Show every key: which signs, which comes next and when, which are still believed."""
    states = _ask(lambda rotation, cause: rotation.states(cause), operator="list")
    rows = [(one.kid, one.algorithm, one.state, one.created_at, one.due_at) for one in states]
    Output(as_json=as_json).table(
        ("kid", "algorithm", "state", "created_at", "due_at"),
        rows,
        least=("created_at", "algorithm"),
        nothing="There is no key yet: the first start of a server makes one.",
    )
    if rows and not as_json:
        note("When it is due, a next key begins to sign, and a retiring one is believed no more.")


@command.command("rotate", epilog="Example: govid keys rotate --reason 'every quarter'")
@click.option("--now", "at_once", is_flag=True, help="Sign with the new key at once: one leaked.")
@reason_option
@actor_option
@yes_option
@json_option
def rotate(at_once: bool, reason: str | None, actor: str | None, yes: bool, as_json: bool) -> None:
    """Publish a new key. It signs by itself, once everybody can know it.

    The old one is believed until the last of its tokens has expired, and then retired.
    """
    ordered = order(reason=reason, actor=actor, rate=None, dry_run=False, yes=yes, as_json=as_json)
    if at_once:
        confirm("Sign with a new key now? Others may refuse good tokens for minutes.", yes=yes)
    turn = identity.Turn(operator=ordered.operator, reason=ordered.reason)
    kid = _ask(
        lambda rotation, cause: rotation.rotate(turn, cause, at_once=at_once),
        operator=ordered.operator,
    )
    ordered.output.mapping({"kid": kid})
    note("`govid keys list` shows when it signs." if not at_once else "It signs now.")


@command.command("retire", epilog="Example: govid keys retire KID --reason 'it leaked'")
@click.argument("kid")
@reason_option
@actor_option
@yes_option
@json_option
def retire(kid: str, reason: str | None, actor: str | None, yes: bool, as_json: bool) -> None:
    """Believe a key no more: whoever holds a token of it has to sign in again."""
    ordered = order(reason=reason, actor=actor, rate=None, dry_run=False, yes=yes, as_json=as_json)
    _ask(lambda rotation, cause: rotation.check(kid, cause), operator=ordered.operator)
    confirm("Refuse every token of this key from now on?", yes=yes)
    turn = identity.Turn(operator=ordered.operator, reason=ordered.reason)
    _ask(lambda rotation, cause: rotation.retire(kid, turn, cause), operator=ordered.operator)
    ordered.output.mapping({"kid": kid, "state": "retired"})
    note("Running processes refuse it within 10 seconds.")


def _ask(work: Callable[["Rotation", Cause], Awaitable[T]], *, operator: str) -> T:
    """Do *work* on the keys of this folder's database.

    Raises:
        Refused: a rule says no; nothing was changed.
        CommandError: the keys there are sealed, and these settings cannot open them.
    """

    async def run() -> T:
        async with house_at(target()) as house:
            cause = Cause(correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator))
            try:
                return await work(house.people.rotation, cause)
            except identity.KeyInTheWay as error:
                raise Refused(f"{error}; nothing was changed.") from error
            except identity.UnreadableKey as error:
                raise CommandError(
                    "the stored keys cannot be opened; nothing was changed.",
                    "Give this command the GOVID_KEY_ENCRYPTION_KEY that the server has.",
                ) from error

    return asyncio.run(run())


command.add_command(status)
command.add_command(reencrypt)
