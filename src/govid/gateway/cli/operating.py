"""What all commands share that act on one account: who and why, and the people behind the desks."""

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
    """Give a command the options of an act on one account."""
    return ordering("Show what would change, change nothing.")(function)


def cause_of(operator: str) -> Cause:
    """Return the cause of what *operator* does now."""
    return Cause(correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator))


@asynccontextmanager
async def people(*, writes: bool = False) -> AsyncIterator["Identity"]:
    """Open identity on this folder's database; a refusal becomes a sentence.

    Raises:
        Refused: something is to be written, and the server's key is not known.
        CommandError: what is wanted was refused.
    """
    place = target()
    if writes and not place.is_demonstration and not place.settings.is_set("GOVID_PSEUDONYM_KEY"):
        raise Refused(
            "GOVID_PSEUDONYM_KEY is not set, and the history could not be read with another key.",
            "Give this command the key that the server has.",
        )
    async with house_at(place) as house:
        try:
            yield house.people
        except GovidError as error:
            raise CommandError(f"{error.detail[0].lower()}{error.detail[1:]}.") from error
