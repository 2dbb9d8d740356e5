"""Brings a database to the schema of this release."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

PACKAGE = Path(__file__).parents[1]


def scripts() -> Path:
    """Return where the migrations are: in the wheel beside the code, in a checkout at its top."""
    packaged = PACKAGE / "_migrations"
    return packaged if packaged.is_dir() else PACKAGE.parents[1] / "migrations"


def configuration(database_url: str) -> Config:
    """Return Alembic's configuration for *database_url*."""
    config = Config()
    config.set_main_option("script_location", str(scripts()))
    # Not as an option: a percent sign of an encoded password would be read as an interpolation.
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply every migration up to *revision*. Runs an event loop of its own."""
    command.upgrade(configuration(database_url), revision)


def head() -> str:
    """Return the revision that this release expects."""
    revision = ScriptDirectory(str(scripts())).get_current_head()
    if revision is None:
        raise RuntimeError("there are no migrations")
    return revision
