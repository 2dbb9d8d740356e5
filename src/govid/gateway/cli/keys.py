"""`govid keys`: lists, rotates and retires the keys that sign access tokens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import rich_click

from govid import identity
from govid.bus import Actor, OperationContext, uuid7
from govid.gateway.cli.acting import parse_operator_options
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.house import build_components
from govid.gateway.cli.operator_keys import reencrypt, status
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.settings import find_installation

if TYPE_CHECKING:
    from govid.identity import KeyRotation

T = TypeVar("T")

reason_option = click.option("--reason", help="Why. Stored permanently, so without personal data.")
actor_option = click.option("--actor", help="The operator.  [default: the user of this system]")
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


@click.group("keys", cls=rich_click.RichGroup, epilog="Example: govid keys list")
def command() -> None:
    """Show the keys that sign access tokens, and rotate them without an outage.

    Also shows which rows depend on which pseudonym key, and re-encrypts stored values.
    """


@command.command("list", epilog="Example: govid keys list --json")
@json_option
def list_keys(as_json: bool) -> None:
    """Show every key: which one signs, which is next and when, which are still accepted."""
    states = _run(lambda rotation, context: rotation.fetch_states(context), operator="list")
    rows = [(one.kid, one.algorithm, one.state, one.created_at, one.due_at) for one in states]
    Output(as_json=as_json).print_table(
        ("kid", "algorithm", "state", "created_at", "due_at"),
        rows,
        optional_columns=("created_at", "algorithm"),
        empty_text="There is no key yet: the first start of a server creates one.",
    )
    if rows and not as_json:
        print_note("At due_at a next key begins to sign, and a retiring key is no longer accepted.")


@command.command("rotate", epilog="Example: govid keys rotate --reason 'every quarter'")
@click.option(
    "--now", "at_once", is_flag=True, help="Sign with the new key at once, because a key leaked."
)
@reason_option
@actor_option
@yes_option
@json_option
def rotate(at_once: bool, reason: str | None, actor: str | None, yes: bool, as_json: bool) -> None:
    """Publish a new key. It begins to sign once all replicas and clients can know it.

    The old key is accepted until the last of its tokens has expired, and is then retired.
    """
    options = parse_operator_options(
        reason=reason, actor=actor, rate=None, dry_run=False, yes=yes, as_json=as_json
    )
    if at_once:
        confirm(
            "Sign with a new key now? Clients may refuse valid tokens for some minutes.", yes=yes
        )
    step = identity.RotationRequest(operator=options.operator, reason=options.reason)
    kid = _run(
        lambda rotation, context: rotation.rotate(step, context, immediately=at_once),
        operator=options.operator,
    )
    options.output.print_mapping({"kid": kid})
    print_note(
        "`govid keys list` shows when it begins to sign." if not at_once else "It signs now."
    )


@command.command("retire", epilog="Example: govid keys retire KID --reason 'it leaked'")
@click.argument("kid")
@reason_option
@actor_option
@yes_option
@json_option
def retire(kid: str, reason: str | None, actor: str | None, yes: bool, as_json: bool) -> None:
    """Stop accepting a key: accounts with a token signed by it must sign in again."""
    options = parse_operator_options(
        reason=reason, actor=actor, rate=None, dry_run=False, yes=yes, as_json=as_json
    )
    _run(
        lambda rotation, context: rotation.check_retirable(kid, context), operator=options.operator
    )
    confirm("Refuse every token of this key from now on?", yes=yes)
    step = identity.RotationRequest(operator=options.operator, reason=options.reason)
    _run(lambda rotation, context: rotation.retire(kid, step, context), operator=options.operator)
    options.output.print_mapping({"kid": kid, "state": "retired"})
    print_note("Running processes refuse it within 10 seconds.")


def _run(work: Callable[["KeyRotation", OperationContext], Awaitable[T]], *, operator: str) -> T:
    """Run *work* with the key rotation on the database of the installation.

    Raises:
        CommandRefused: a rule forbids the change; nothing was changed.
        CommandError: the stored keys are encrypted with a key that these settings do not have.
    """

    async def run() -> T:
        async with build_components(find_installation()) as components:
            context = OperationContext(
                correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator)
            )
            try:
                return await work(components.identity_services.key_rotation, context)
            except identity.RotationConflict as error:
                raise CommandRefused(f"{error}; nothing was changed.") from error
            except identity.UnreadableKey as error:
                raise CommandError(
                    "the stored keys cannot be decrypted; nothing was changed.",
                    "Set the GOVID_KEY_ENCRYPTION_KEY that the server uses.",
                ) from error

    return asyncio.run(run())


command.add_command(status)
command.add_command(reencrypt)
