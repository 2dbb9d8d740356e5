"""Decides whether this release runs on a database's schema version.

The version of a schema is the number of its last migration. The database also stores the number of
the oldest schema whose release still runs on it (`compatible_from`, written by migrations/env.py).
So an older release continues to run while, and after, the next one migrates.
"""

from pathlib import Path
from typing import Any, Literal

import asyncpg
import msgspec

PACKAGE = Path(__file__).parents[1]

_VERSION = """
    SELECT version_num, (to_jsonb(v) ->> 'compatible_from')::integer AS compatible_from
    FROM public.govid_version AS v
"""
"""Reads `compatible_from` through JSON, because the column does not exist before migration 0020."""


class SchemaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The stored version of a schema; `revision` is None in a database that was never migrated."""

    revision: str | None
    compatible_from: int | None = None

    @property
    def number(self) -> int:
        """Return the revision as a number; 0 for no revision or one that is not govid's."""
        return int(self.revision) if self.revision and self.revision.isdecimal() else 0

    @property
    def state(self) -> Literal["fits", "behind", "ahead"]:
        """Compare the schema with this release.

        `behind` needs a migration, `ahead` a newer release. A newer schema fits as far as its
        `compatible_from` allows; without that it does not fit.
        """
        release, number = int(head_revision()), self.number
        if number == release:
            return "fits"
        if number < release:
            return "behind"
        return "fits" if release >= (self.compatible_from or number) else "ahead"

    def explain_mismatch(self) -> str | None:
        """Return a sentence that explains why this release does not run, None if it does."""
        match self.state:
            case "fits":
                return None
            case "behind":
                return (
                    f"the database is at migration {self.revision or 'none'}, not at"
                    f" {head_revision()}: `govid migrate`"
                )
            case "ahead":
                needed = f"{self.compatible_from or self.number:04d}"
                return (
                    f"the database is newer than this release (schema {self.revision}, needs "
                    f"release {needed}): use that release or a later one"
                )


async def read_version(connection: Any) -> SchemaVersion:
    """Return the schema version that *connection* (of asyncpg, or a pool) sees."""
    try:
        row = await connection.fetchrow(_VERSION)
    except asyncpg.UndefinedTableError:
        row = None
    if row is None:
        return SchemaVersion(revision=None)
    return SchemaVersion(revision=row["version_num"], compatible_from=row["compatible_from"])


def migrations_folder() -> Path:
    """Return the folder of the migrations: inside the package in a wheel, else in the checkout."""
    packaged = PACKAGE / "_migrations"
    return packaged if packaged.is_dir() else PACKAGE.parents[1] / "migrations"


def head_revision() -> str:
    """Return the revision that this release expects: the highest number of its migrations."""
    names = [
        path.name for path in (migrations_folder() / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")
    ]
    if not names:
        raise RuntimeError("there are no migrations")
    return max(names)[:4]
