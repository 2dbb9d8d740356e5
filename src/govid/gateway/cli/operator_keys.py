"""`govid keys status` and `reencrypt`: the operator's own keys, and what is stored under them."""

import asyncio
from functools import partial
from typing import Any

import click
import rich_click

from govid import hmrc, identity
from govid.bus.shared.crypto import Renewal, count_values, renew_values
from govid.gateway.cli.acting import at_head
from govid.gateway.cli.errors import CommandError, Refused
from govid.gateway.cli.house import settings_of
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.progress import Progress
from govid.gateway.cli.settings import target
from govid.gateway.settings import Settings


@click.command("status", cls=rich_click.RichCommand, epilog="Example: govid keys status --json")
@json_option
def status(as_json: bool) -> None:
    """Show the pseudonym keys, newest first, and how many rows only each of them finds.

    A key of GOVID_OLD_PSEUDONYM_KEYS can be dropped when it has no rows. Its rows become the newest
    key's when their identifier is looked up; what no one asks for stays.
    """
    usage = asyncio.run(_usage())
    rows = [(one.key_id, one.state, one.rows) for one in usage]
    Output(as_json=as_json).table(("key_id", "state", "rows"), rows)


async def _usage() -> Any:
    place = target()
    async with at_head(place) as connection:
        return await identity.pseudonym_usage(
            connection, identity.key_list(settings_of(place).identity)
        )


@click.command("reencrypt", cls=rich_click.RichCommand, epilog="Example: govid keys reencrypt")
@json_option
def reencrypt(as_json: bool) -> None:
    """Encrypt everything under the newest key, so that the older one can be dropped.

    Reads with GOVID_OLD_KEY_ENCRYPTION_KEY what GOVID_KEY_ENCRYPTION_KEY does not decrypt. Servers
    that have both keys may run meanwhile. A run that was stopped is continued by the next one.
    """
    place = target()
    settings = settings_of(place)
    done = asyncio.run(_reencrypt(place, settings))
    output = Output(as_json=as_json)
    output.table(
        ("column", "values", "renewed", "unreadable"),
        [(name, one.seen, one.renewed, one.unreadable) for name, one in done.items()],
    )
    unreadable = sum(one.unreadable for one in done.values())
    if unreadable:
        raise CommandError(
            f"{unreadable} values are under a key that is not configured; they were left.",
            "Give that key as GOVID_OLD_KEY_ENCRYPTION_KEY, and run this again.",
        )
    note("GOVID_OLD_KEY_ENCRYPTION_KEY is needed no more.")


async def _reencrypt(place: Any, settings: Settings) -> dict[str, Renewal]:
    keys = identity.key_list(settings.identity)
    if not keys.encryption:
        raise Refused("there is no key to encrypt with.", "Set GOVID_KEY_ENCRYPTION_KEY.")
    columns = (
        *identity.encrypted_columns(settings.identity),
        *hmrc.encrypted_columns(settings.hmrc),
    )
    async with at_head(place) as connection:
        if faults := await identity.key_faults(connection, keys):
            raise Refused(f"{faults[0]}; nothing was touched.")
        await identity.note_keys(connection, keys)
        total = sum([await count_values(connection, column) for column in columns])
        done: dict[str, Renewal] = {}
        with Progress("encrypting", total) as progress:
            for column in columns:
                before = sum(one.seen for one in done.values())
                advance = partial(_advance, progress, before)
                done[f"{column.table}.{column.value}"] = await renew_values(
                    connection, column, advance
                )
        if not any(one.unreadable for one in done.values()):
            await identity.forget_older_encryption_keys(connection, keys)
    return done


def _advance(progress: Progress, before: int, seen: int) -> None:
    progress.at(before + seen)
