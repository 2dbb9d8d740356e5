"""`govid audit search`: shows the entries of the audit log that match."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import click
import rich_click

from govid.bus.audit.search import EntryFilter, FoundEntry
from govid.gateway.cli.audit.views import (
    AccountType,
    EventType,
    ValueType,
    open_view,
    restricted_options,
)
from govid.gateway.cli.filters import MOMENT, check_period
from govid.gateway.cli.output import Output, apply_options, json_option, print_note

MAX_ENTRIES = 10_000
COLUMNS = ("time", "event", "outcome", "actor", "subject", "reason", "id")

search_options = apply_options(
    click.option(
        "--account", "account_id", type=AccountType(), help="Only entries about this account."
    ),
    click.option(
        "--event",
        type=EventType(),
        help="Only this event, or all events that begin so: `login.`.",
    ),
    click.option("--since", type=MOMENT, help="Only entries from this time, or age (15m, 2h, 7d)."),
    click.option("--until", type=MOMENT, help="Only entries before this time or age."),
    click.option("--operator", type=ValueType(), help="Only acts of this operator."),
    click.option("--address", type=ValueType(), help="Only requests from this network address."),
    click.option(
        "--correlation-id", type=ValueType(), help="Only entries of this request or operation."
    ),
)


@click.command(
    "search",
    cls=rich_click.RichCommand,
    epilog="Example: govid audit search --event login. --since 1h",
)
@search_options
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_ENTRIES),
    default=100,
    show_default=True,
    help="At most this many entries.",
)
@click.option("--oldest-first", is_flag=True, help="Begin with the oldest.  [default: the newest]")
@restricted_options
@json_option
def search(
    *,
    limit: int,
    oldest_first: bool,
    restricted: bool,
    reason: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Show entries of the audit log. This search is recorded in the log, too.

    Operator, address and correlation id are found even after the values themselves were removed.
    """
    check_period(values["since"], values["until"])
    wanted = EntryFilter(**values)

    async def fetch_rows() -> list[list[object]]:
        async with open_view(
            "audit search", wanted, restricted=restricted, reason=reason
        ) as audit_search:
            return [
                [*describe_entry(entry), *([entry.restricted] if restricted else [])]
                async for entry in audit_search.find(
                    wanted,
                    limit=limit,
                    newest_first=not oldest_first,
                    with_restricted=restricted,
                )
            ]

    rows = asyncio.run(fetch_rows())
    columns = (*COLUMNS, "restricted") if restricted else COLUMNS
    Output(as_json=as_json).print_table(
        columns, rows, keep_all=True, empty_text="No entry matches."
    )
    if len(rows) == limit:
        print_note(f"There may be more than {limit}: give a larger --limit, or a shorter period.")


def describe_entry(entry: FoundEntry) -> tuple[datetime, str, str, str, UUID | None, Any, UUID]:
    """Return the values of `COLUMNS`. A content that is not that of an entry is named."""
    actor, outcome = entry.members.get("actor"), entry.members.get("outcome")
    if not isinstance(actor, dict) or not isinstance(outcome, str):
        return entry.at, entry.event, "unreadable", "unreadable", entry.subject, None, entry.id
    name = " ".join(str(actor[one]) for one in ("kind", "id") if one in actor)
    reason = entry.members.get("reason")
    return entry.at, entry.event, outcome, name, entry.subject, reason, entry.id
