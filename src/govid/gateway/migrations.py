"""Migrates a database to the schema of this release, by Alembic in this process."""

from alembic import command
from alembic.config import Config

from govid.gateway.schema_version import migrations_folder

# Any number will do as long as every replica uses the same one: "govid" in hexadecimal.
ADVISORY_LOCK = 0x676F766964
LOCK_MS = 5_000
"""How long a statement waits for a lock: it must fail, not queue all traffic behind it."""


def build_alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration for *database_url*."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    # Not as an option: a percent sign of an encoded password would start an interpolation.
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply every migration up to *revision*. It runs its own event loop."""
    command.upgrade(build_alembic_config(database_url), revision)
