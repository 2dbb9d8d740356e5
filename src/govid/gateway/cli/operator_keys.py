"""`govid keys status` and `reencrypt`: the configured keys and the data stored under them."""

import asyncio
from functools import partial
from typing import Any

import click
import rich_click

from govid import hmrc, identity
from govid.bus.shared.crypto import ReencryptionResult, count_values, reencrypt_values
from govid.gateway.cli.acting import connect_at_current_schema
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.house import load_server_settings
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.progress import ProgressDisplay
from govid.gateway.cli.settings import find_installation
from govid.gateway.settings import Settings


@click.command("status", cls=rich_click.RichCommand, epilog="Example: govid keys status --json")
@json_option
def status(as_json: bool) -> None:
    """Show the pseudonym keys, newest first, and the number of rows that depend on each.

    A key of GOVID_OLD_PSEUDONYM_KEYS can be removed when it has no rows. A row moves to the newest
    key when its identifier is looked up; rows that are never looked up stay.
    """
    usage = asyncio.run(_fetch_usage())
    rows = [(one.key_id, one.state, one.rows) for one in usage]
    Output(as_json=as_json).print_table(("key_id", "state", "rows"), rows)


async def _fetch_usage() -> Any:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        return await identity.fetch_pseudonym_usage(
            connection, identity.configured_keys(load_server_settings(installation).identity)
        )


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


async def _reencrypt(installation: Any, settings: Settings) -> dict[str, ReencryptionResult]:
    keys = identity.configured_keys(settings.identity)
    if not keys.encryption:
        raise CommandRefused("there is no key to encrypt with.", "Set GOVID_KEY_ENCRYPTION_KEY.")
    columns = (
        *identity.encrypted_columns(settings.identity),
        *hmrc.encrypted_columns(settings.hmrc),
    )
    async with connect_at_current_schema(installation) as connection:
        if faults := await identity.find_key_problems(connection, keys):
            raise CommandRefused(f"{faults[0]}; nothing was changed.")
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
