"""The modules, for commands that use them without serving: built, connected, nothing running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from govid.gateway.cli.acting import at_head
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.settings import Target
from govid.gateway.devserver.state import StateFolder, folder_secrets
from govid.gateway.settings import Settings, load

if TYPE_CHECKING:
    from govid.gateway.wiring import House


def settings_of(place: Target) -> Settings:
    """Return the settings of the server on the database of *place*, with its secrets."""
    overrides: dict[str, object] = {"GOVID_DATABASE_URL": place.database_url}
    if place.is_demonstration:
        state = StateFolder(place.settings.data_dir).read()
        overrides |= folder_secrets(place.settings, state)
    return load(overrides, demonstration=place.is_demonstration)


@asynccontextmanager
async def house_at(place: Target) -> AsyncIterator["House"]:
    """Build the house on the database of *place*.

    The secrets are those of the settings; only for a running `govid dev` they are its folder's. A
    folder without one would make up new ones, which no server has.

    Raises:
        Unreachable: the database does not answer.
        Refused: it has not this release's schema.
        CommandError: the settings contradict each other.
    """
    async with at_head(place):
        pass
    # The modules bring the web framework with them: only what uses them waits for it (I13).
    from govid.gateway.wiring import build  # noqa: PLC0415

    settings = settings_of(place)
    try:
        house = build(settings)
    except ValueError as error:
        raise CommandError(
            f"the settings do not make a house: {error}.", "`govid check` lists every fault."
        ) from error
    async with house.bus.database:
        yield house
