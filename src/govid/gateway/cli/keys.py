"""`govid keys`: lists, rotates and retires signing keys, and re-encrypts stored values.

`status` and `reencrypt` work on the operator's own keys (pseudonyms, encryption), the other
commands on the keys that sign access tokens.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click
import rich_click

from govid import hmrc, identity
from govid.bus import OperationContext
from govid.bus.shared.crypto import ReencryptionResult, count_values, reencrypt_values
from govid.gateway.cli.components import (
    build_components,
    build_operation_context,
    load_server_settings,
)
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.operator import operator_options, parse_operator_options
from govid.gateway.cli.output import Output, ProgressDisplay, json_option, print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.target import Installation, connect_at_current_schema, find_installation
from govid.gateway.settings import Settings

if TYPE_CHECKING:
    from govid.identity import KeyRotation


@click.command("status", cls=rich_click.RichCommand, epilog="Example: govid keys status --json")
@json_option
def status(as_json: bool) -> None:
    """Show the pseudonym keys, newest first, and the number of rows that depend on each.

    A key of GOVID_OLD_PSEUDONYM_KEYS can be removed when it has no rows. A row moves to the newest
    key when its identifier is looked up; rows that are never looked up stay.
    """
    Output(as_json=as_json).print_table(("key_id", "state", "rows"), asyncio.run(_fetch_usage()))


async def _fetch_usage() -> list[tuple[str, str, int]]:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        usage = await identity.fetch_pseudonym_usage(
            connection, identity.configured_keys(load_server_settings(installation).identity)
        )
    return [(one.key_id, one.state, one.rows) for one in usage]


@click.command("reencrypt", cls=rich_click.RichCommand, epilog="Example: govid keys reencrypt")
@json_option
def reencrypt(as_json: bool) -> None:
    """Encrypt all values with the newest key, so that the older key can be removed.

    Values that GOVID_KEY_ENCRYPTION_KEY does not decrypt are read with
    GOVID_OLD_KEY_ENCRYPTION_KEY. Servers that have both keys may run in the meantime. If a run is
    interrupted, the next one continues it.
    """
    installation = find_installation()
    settings = load_server_settings(installation)
    done = asyncio.run(_reencrypt(installation, settings))
    output = Output(as_json=as_json)
    output.print_table(
        ("column", "values", "renewed", "unreadable"),
        [(name, one.seen, one.renewed, one.unreadable) for name, one in done.items()],
    )
    unreadable = sum(one.unreadable for one in done.values())
    if unreadable:
        raise CommandError(
            f"{unreadable} values were left: they are encrypted with a key that is not configured.",
            "Set that key as GOVID_OLD_KEY_ENCRYPTION_KEY, and run this command again.",
        )
    print_note("GOVID_OLD_KEY_ENCRYPTION_KEY is no longer needed.")


async def _reencrypt(
    installation: Installation, settings: Settings
) -> dict[str, ReencryptionResult]:
    keys = identity.configured_keys(settings.identity)
    if not keys.encryption:
        raise CommandRefused("there is no key to encrypt with.", "Set GOVID_KEY_ENCRYPTION_KEY.")
    columns = (
        *identity.encrypted_columns(settings.identity),
        *hmrc.encrypted_columns(settings.hmrc),
    )
    async with connect_at_current_schema(installation) as connection:
        if problems := await identity.find_key_problems(connection, keys):
            raise CommandRefused(f"{problems[0]}; nothing was changed.")
        await identity.record_keys(connection, keys)
        total = sum([await count_values(connection, column) for column in columns])
        done: dict[str, ReencryptionResult] = {}
        with ProgressDisplay("encrypting", total) as progress:
            for column in columns:
                before = sum(one.seen for one in done.values())
                report_progress = partial(_report_progress, progress, before)
                done[f"{column.table}.{column.value}"] = await reencrypt_values(
                    connection, column, report_progress
                )
        if not any(one.unreadable for one in done.values()):
            await identity.delete_older_encryption_keys(connection, keys)
    return done


def _report_progress(progress: ProgressDisplay, before: int, seen: int) -> None:
    progress.update(before + seen)


T = TypeVar("T")

action_options = operator_options(None)


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
@action_options
def rotate(at_once: bool, **values: Any) -> None:
    """Publish a new key. It begins to sign once all replicas and clients can know it.

    The old key is accepted until the last of its tokens has expired, and is then retired.
    """
    options = parse_operator_options(**values)
    if at_once:
        confirm(
            "Sign with a new key now? Clients may refuse valid tokens for some minutes.",
            yes=options.yes,
        )
    step = identity.RotationRequest(operator=options.operator, reason=options.reason)

    async def rotate_key(
        rotation: "KeyRotation", context: OperationContext
    ) -> tuple[str, Sequence[str]]:
        kid = await rotation.rotate(step, context, immediately=at_once)
        return kid, [
            one.kid for one in await rotation.fetch_states(context) if one.state == "retiring"
        ]

    kid, retiring = _run(rotate_key, operator=options.operator)
    options.output.print_mapping({"kid": kid})
    if not at_once:
        print_note("`govid keys list` shows when it begins to sign.")
    elif retiring:
        print_note(
            f"It signs now. Still accepted: {', '.join(retiring)}. `govid keys retire KID` ends "
            "that."
        )
    else:
        print_note("It signs now. No other key is accepted.")


@command.command("retire", epilog="Example: govid keys retire KID --reason 'it leaked'")
@click.argument("kid")
@action_options
def retire(kid: str, **values: Any) -> None:
    """Stop accepting a key: accounts with a token signed by it must sign in again."""
    options = parse_operator_options(**values)
    _run(
        lambda rotation, context: rotation.check_retirable(kid, context), operator=options.operator
    )
    confirm("Refuse every token of this key from now on?", yes=options.yes)
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
            context = build_operation_context(operator)
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
