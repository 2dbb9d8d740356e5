"""Counts what waits for a person to look at it."""

from collections.abc import Mapping
from typing import Any

IDENTIFIER_SHARED = "identifier_shared"
"""The contra-indicator of an account whose identifier another account owns."""
EMAIL_SHARED = "email_shared"
"""The reason of a review of an account whose address another account owns."""
SHARED = (IDENTIFIER_SHARED, EMAIL_SHARED)
"""Reasons that come from data of earlier releases, and from no notice."""

_OPEN = """
    SELECT reason, count(*) AS items FROM identity.review_item WHERE state = 'open'
    GROUP BY reason ORDER BY reason
"""


async def open_reviews(connection: Any) -> Mapping[str, int]:
    """Return how many reviews are open for each reason; *connection* is an `asyncpg` one."""
    return {row["reason"]: row["items"] for row in await connection.fetch(_OPEN)}
