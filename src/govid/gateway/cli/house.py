"""Builds the application's components for commands that use them without a running server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from govid.gateway.cli.acting import connect_at_current_schema
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.settings import Installation
from govid.gateway.devserver.state import StateFolder, default_secrets
from govid.gateway.settings import Settings, load

if TYPE_CHECKING:
    from govid.gateway.wiring import Components


def load_server_settings(installation: Installation) -> Settings:
    """Return the settings and secrets that the server of *installation* uses."""
    overrides: dict[str, object] = {"GOVID_DATABASE_URL": installation.database_url}
    if installation.is_demonstration:
        state = StateFolder(installation.settings.data_dir).read()
        overrides |= default_secrets(installation.settings, state)
    return load(overrides, demonstration=installation.is_demonstration)


@asynccontextmanager
async def build_components(installation: Installation) -> AsyncIterator["Components"]:
    """Build the components on the database of *installation*; no background worker runs.

    The secrets come from the settings, for a running `govid dev` from its folder. A folder without
    a running server is not used: it would generate new secrets that no server has.

    Raises:
        BackendUnreachable: the database does not answer.
        CommandRefused: the database does not have the schema of this release.
        CommandError: the settings contradict each other.
    """
    async with connect_at_current_schema(installation):
        pass
    # The modules import the web framework, so only commands that need them wait for it (I13).
    from govid.gateway.wiring import assemble_components  # noqa: PLC0415

    settings = load_server_settings(installation)
    try:
        components = assemble_components(settings)
    except ValueError as error:
        raise CommandError(
            f"the application cannot be built from the settings: {error}.",
            "`govid check` lists every fault.",
        ) from error
    async with components.bus.database:
        yield components
