"""Counts review items that wait for a decision."""

from collections.abc import Mapping
from typing import Any

IDENTIFIER_SHARED = "identifier_shared"
"""The contra-indicator of an account whose identifier belongs to another account."""
EMAIL_SHARED = "email_shared"
"""The review reason of an account whose address belongs to another account."""
SHARED_REASONS = (IDENTIFIER_SHARED, EMAIL_SHARED)
"""Reasons that come from data of earlier releases, not from a notice."""

_OPEN = """
    SELECT reason, count(*) AS items FROM identity.review_item WHERE state = 'open'
    GROUP BY reason ORDER BY reason
"""


async def count_open_reviews(connection: Any) -> Mapping[str, int]:
    """Return the number of open review items by reason; *connection* is of `asyncpg`."""
    return {row["reason"]: row["items"] for row in await connection.fetch(_OPEN)}
