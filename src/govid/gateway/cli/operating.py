"""Shared parts of commands on one account: options, operation context, identity services."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from govid.bus import Actor, GovidError, OperationContext, uuid7
from govid.gateway.cli.acting import operator_options
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.house import build_components
from govid.gateway.cli.settings import find_installation

if TYPE_CHECKING:
    from govid.identity import Identity

F = TypeVar("F", bound=Callable[..., Any])


def account_command_options(function: F) -> F:
    """Add the options of an operator action on one account to a command."""
    return operator_options("Show what would change; change nothing.")(function)


def build_operation_context(operator: str) -> OperationContext:
    """Return a new operation context with *operator* as its actor."""
    return OperationContext(correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator))


@asynccontextmanager
async def open_identity(*, writes: bool = False) -> AsyncIterator["Identity"]:
    """Build identity's services on the database; its errors become command errors.

    Raises:
        CommandRefused: the command *writes*, and the pseudonym key of the server is not set.
        CommandError: identity refused the action.
    """
    installation = find_installation()
    if (
        writes
        and not installation.is_demonstration
        and not installation.settings.is_set("GOVID_PSEUDONYM_KEY")
    ):
        raise CommandRefused(
            "GOVID_PSEUDONYM_KEY is not set. With another key the history could not be read.",
            "Set the key that the server uses.",
        )
    async with build_components(installation) as components:
        try:
            yield components.identity_services
        except GovidError as error:
            raise CommandError(f"{error.detail[0].lower()}{error.detail[1:]}.") from error
