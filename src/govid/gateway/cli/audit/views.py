"""What `audit search` and `audit export` share: their options, the record of a view, its entries.

Both show who did what, so each use is itself an entry of the log, stored before anything is shown.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import click

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.search import AuditSearch, EntryFilter
from govid.bus.events import DataView
from govid.gateway.cli.components import load_audit_settings
from govid.gateway.cli.errors import CommandRefused
from govid.gateway.cli.operator import parse_reason, record_data_view
from govid.gateway.cli.output import apply_options
from govid.gateway.cli.target import connect_at_current_schema, find_installation

MAX_VALUE_LENGTH = 500
_EVENT = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)


class AccountType(click.types.UUIDParameterType):
    """An account id. An invalid value is not printed, because it may be personal data."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Parse *value* as an account id."""
        try:
            return UUID(str(value).strip())
        except ValueError:
            self.fail("this is not an account id.", param, ctx)


class EventType(click.ParamType[str]):
    """The name of an event, or its beginning up to a full stop."""

    name = "EVENT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check the characters of *value*."""
        text = str(value)
        if not _EVENT.fullmatch(text):
            self.fail("this is neither the name of an event nor its beginning.", param, ctx)
        return text


class ValueType(click.ParamType[str]):
    """A personal value. An invalid one is not printed."""

    name = "TEXT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check the length of *value*."""
        text = str(value)
        if not 0 < len(text) <= MAX_VALUE_LENGTH:
            self.fail(f"this needs 1 to {MAX_VALUE_LENGTH} characters.", param, ctx)
        return text


restricted_options = apply_options(
    click.option(
        "--restricted",
        is_flag=True,
        help="Add the personal values; outside `govid dev` requires --reason.",
    ),
    click.option("--reason", help="Why. Stored permanently, so without personal data."),
)
"""Adds the options of personal values to a command; `open_view` takes their values."""


@asynccontextmanager
async def open_view(
    view: DataView, wanted: EntryFilter, *, restricted: bool, reason: str | None
) -> AsyncIterator[AuditSearch]:
    """Record the *view*, and then open the search.

    Raises:
        CommandRefused: personal values need a reason, or no audit key is set.
        BackendUnreachable: the view could not be recorded, or the database does not answer.
        click.UsageError: the reason cannot be stored.
    """
    stated = parse_reason(reason)
    installation = find_installation()
    if restricted and not stated and not installation.is_demonstration:
        raise CommandRefused(
            "--restricted shows personal data, and this is not the data of `govid dev`.",
            "Give a --reason; it is written to the audit log.",
        )
    keys = AuditKeys.from_settings(load_audit_settings(installation))
    await record_data_view(installation, view, reason=stated, account_id=wanted.account_id)
    async with connect_at_current_schema(installation) as connection:
        yield AuditSearch(connection, keys)
