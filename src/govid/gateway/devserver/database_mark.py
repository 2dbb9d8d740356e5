"""Marks databases of `govid dev`, so that it never runs on a database with real accounts.

This matters if the operator has set the URL of the database: synthetic people could sign in there,
simulated departments would verify real people, and a simulated death notice would block an account.
"""

from enum import Enum, auto
from typing import Any

DEMONSTRATION_COMMENT = "govid dev: made-up people and simulated departments"

_COMMENT = """
    SELECT to_regnamespace('identity') IS NULL AS is_new,
           obj_description(to_regnamespace('identity')::oid, 'pg_namespace') AS comment
"""


class DatabaseOrigin(Enum):
    """What created a database."""

    NEW = auto()
    """It has no tables of govid yet."""
    DEMONSTRATION = auto()
    FOREIGN = auto()


async def get_database_origin(connection: Any) -> DatabaseOrigin:
    """Return what created the database of *connection*."""
    row = await connection.fetchrow(_COMMENT)
    if row["is_new"]:
        return DatabaseOrigin.NEW
    return (
        DatabaseOrigin.DEMONSTRATION
        if row["comment"] == DEMONSTRATION_COMMENT
        else DatabaseOrigin.FOREIGN
    )


async def mark_database(connection: Any) -> None:
    """Mark the database as one for demonstrations."""
    await connection.execute(f"COMMENT ON SCHEMA identity IS '{DEMONSTRATION_COMMENT}'")
