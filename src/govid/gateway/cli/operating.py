"""Shared parts of commands on one account: options, operation context, identity services."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from govid.bus import Actor, Cause, GovidError, uuid7
from govid.gateway.cli.acting import ordering
from govid.gateway.cli.errors import CommandError, Refused
from govid.gateway.cli.house import house_at
from govid.gateway.cli.settings import target

if TYPE_CHECKING:
    from govid.identity import Identity

F = TypeVar("F", bound=Callable[..., Any])


def acting_on_account(function: F) -> F:
    """Add the options of an operator action on one account to a command."""
    return ordering("Show what would change; change nothing.")(function)


def cause_of(operator: str) -> Cause:
    """Return a new operation context with *operator* as its actor."""
    return Cause(correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator))


@asynccontextmanager
async def people(*, writes: bool = False) -> AsyncIterator["Identity"]:
    """Build identity's services on the database; its errors become command errors.

    Raises:
        CommandRefused: the command *writes*, and the pseudonym key of the server is not set.
        CommandError: identity refused the action.
    """
    installation = target()
    if (
        writes
        and not installation.is_demonstration
        and not installation.settings.is_set("GOVID_PSEUDONYM_KEY")
    ):
        raise Refused(
            "GOVID_PSEUDONYM_KEY is not set. With another key the history could not be read.",
            "Set the key that the server uses.",
        )
    async with house_at(installation) as components:
        try:
            yield components.people
        except GovidError as error:
            raise CommandError(f"{error.detail[0].lower()}{error.detail[1:]}.") from error
