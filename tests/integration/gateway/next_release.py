"""The next release, as far as a database sees it: its migration, applied by this release's code."""

import asyncio
import shutil
from pathlib import Path

from alembic import command
from alembic.config import Config

from govid.gateway.schema_version import head_revision, migrations_folder

NUMBER = int(head_revision()) + 1
REVISION = f"{NUMBER:04d}"
ADDITIONS = {
    "a column": "ALTER TABLE bus.event ADD COLUMN region text",
    "a column with a default": (
        "ALTER TABLE identity.account ADD COLUMN region text NOT NULL DEFAULT 'uk'"
    ),
    "a trigger": (
        "CREATE TRIGGER later AFTER UPDATE ON identity.account"
        " FOR EACH ROW WHEN (false) EXECUTE FUNCTION bus.refuse_change()"
    ),
    "a table": "CREATE TABLE bus.region (name text NOT NULL)",
    "an index": "CREATE INDEX event_type ON bus.event (type)",
}
_SCRIPT = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"
compatible_from = {compatible_from}

def upgrade():
    op.execute({statement!r})
"""


def migrate(database_url: str, folder: Path, statement: str, compatible_from: int) -> None:
    """Apply *statement* as the migration after this release's last one."""
    place = folder / "migrations"
    shutil.copytree(migrations_folder(), place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "versions" / f"{REVISION}_next.py").write_text(
        _SCRIPT.format(
            revision=REVISION,
            before=head_revision(),
            compatible_from=compatible_from,
            statement=statement,
        )
    )
    config = Config()
    config.set_main_option("script_location", str(place))
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")


async def migrate_in_thread(
    database_url: str, folder: Path, statement: str, compatible_from: int
) -> None:
    """Do the same from a test that has an event loop."""
    await asyncio.to_thread(migrate, database_url, folder, statement, compatible_from)
