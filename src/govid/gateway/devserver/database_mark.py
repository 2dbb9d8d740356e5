"""Tells a database that `govid dev` has made from one that may serve people.

Only where its URL is the operator's: made-up people would be able to sign in there, simulated
departments would verify real ones, and the death that they report would block an account.
"""

from enum import Enum, auto
from typing import Any

MARK = "govid dev: made-up people and simulated departments"

_COMMENT = """
    SELECT to_regnamespace('identity') IS NULL AS is_new,
           obj_description(to_regnamespace('identity')::oid, 'pg_namespace') AS comment
"""


class Origin(Enum):
    """Who has begun a database."""

    NEW = auto()
    """Nobody: it has no tables of govid."""
    DEMONSTRATION = auto()
    FOREIGN = auto()


async def origin_of(connection: Any) -> Origin:
    """Return who has begun the database of *connection*."""
    row = await connection.fetchrow(_COMMENT)
    if row["is_new"]:
        return Origin.NEW
    return Origin.DEMONSTRATION if row["comment"] == MARK else Origin.FOREIGN


async def mark(connection: Any) -> None:
    """Note that this database is for demonstrations."""
    await connection.execute(f"COMMENT ON SCHEMA identity IS '{MARK}'")
