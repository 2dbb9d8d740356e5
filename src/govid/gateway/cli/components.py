"""Builds the application's components for commands that use them without a running server.

Commands get all components, the subscriptions, or the services of identity.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from govid.bus import Actor, AuditSettings, GovidError, OperationContext, uuid7
from govid.bus.delivery.subscriptions import Subscriptions
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.target import (
    Installation,
    connect_at_current_schema,
    find_installation,
)
from govid.gateway.dev.state import StateFolder, default_secrets
from govid.gateway.settings import Settings, load_from_environment

if TYPE_CHECKING:
    from govid.gateway.wiring import Components
    from govid.identity import Identity


def load_server_settings(installation: Installation) -> Settings:
    """Return the settings and secrets that the server of *installation* uses."""
    overrides: dict[str, object] = {"GOVID_DATABASE_URL": installation.database_url}
    if installation.is_demonstration:
        state = StateFolder(installation.settings.data_dir).read()
        overrides |= default_secrets(installation.settings, state)
    return load_from_environment(overrides, demonstration=installation.is_demonstration)


def load_audit_settings(installation: Installation) -> AuditSettings:
    """Return the settings of the audit log, with the key that the server of *installation* uses.

    Raises:
        CommandRefused: no audit key is set, so entries would look like forged ones.
    """
    settings = load_server_settings(installation).bus.audit
    if not settings.key and not installation.is_demonstration:
        raise CommandRefused(
            "GOVID_AUDIT_KEY is not set: the audit log can be neither written nor verified.",
            "Set the key that the server uses.",
        )
    return settings


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
    components = _assemble(load_server_settings(installation))
    async with components.bus.database:
        yield components


def load_subscriptions(installation: Installation) -> Subscriptions:
    """Return the subscriptions of this release, read from its modules.

    Raises:
        CommandError: the settings contradict each other.
    """
    state = StateFolder(installation.settings.data_dir).read()
    secrets = default_secrets(installation.settings, state)
    overrides = {"GOVID_DATABASE_URL": installation.database_url, **secrets}
    return _assemble(load_from_environment(overrides)).bus.subscriptions


def _assemble(settings: Settings) -> "Components":
    # The modules import the web framework, so only commands that need them wait for it (I13).
    from govid.gateway.wiring import assemble_components  # noqa: PLC0415

    try:
        return assemble_components(settings)
    except ValueError as error:
        raise CommandError(
            f"the application cannot be built from the settings: {error}.",
            "`govid check` lists every fault.",
        ) from error


def build_operation_context(operator: str) -> OperationContext:
    """Return a new operation context with *operator* as its actor."""
    return OperationContext(correlation_id=str(uuid7()), actor=Actor(kind="operator", id=operator))


@asynccontextmanager
async def open_identity(*, writes: bool = False) -> AsyncIterator["Identity"]:
    """Build identity's services on the database; its errors become command errors.

    Raises:
        CommandRefused: the command *writes*, and the pseudonym key or the audit key of the server
            is not set.
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
    if writes:
        # Entries under another key would look like forged ones, and never be sealed.
        load_audit_settings(installation)
    async with build_components(installation) as components:
        try:
            yield components.identity_services
        except GovidError as error:
            raise CommandError(f"{error.detail[0].lower()}{error.detail[1:]}.") from error
