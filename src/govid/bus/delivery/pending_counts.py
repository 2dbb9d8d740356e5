"""Counts pending deliveries at a bounded cost.

Up to `EXACT_COUNT_LIMIT` deliveries of a subscriber are counted. The number of more is estimated
from randomly chosen pages of the table, and marked as an estimate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.delivery", "pending_counts.sql")
ALL_PERCENT = 100.0
EXACT_COUNT_LIMIT = 10_000
"""How many deliveries of each subscriber are counted exactly."""
SAMPLED_PAGES = 400
"""How many pages of the table an estimate reads. Its error is then a few percent at most."""


class PendingCount(msgspec.Struct, frozen=True):
    """How many deliveries of a subscriber are pending."""

    deliveries: int
    is_estimate: bool = False


async def fetch_subscribers(connection: Any) -> list[str]:
    """Return every subscriber that has buckets, or pending, parked or dead-lettered deliveries."""
    return [row["subscriber"] for row in await connection.fetch(QUERIES["subscribers"])]


async def count_pending(connection: Any, names: Sequence[str]) -> Mapping[str, PendingCount]:
    """Return how many deliveries of each of *names* are pending."""
    rows = await connection.fetch(QUERIES["counts"], names, EXACT_COUNT_LIMIT)
    counts = {row["subscriber"]: PendingCount(row["pending"]) for row in rows}
    many = {name for name, count in counts.items() if count.deliveries > EXACT_COUNT_LIMIT}
    if many:
        pages = await connection.fetchval(QUERIES["pages"])
        percent = min(ALL_PERCENT, ALL_PERCENT * SAMPLED_PAGES / max(1, pages))
        sampled = await connection.fetch(QUERIES["sample"], percent)
        found = {row["subscriber"]: row["pending"] for row in sampled}
        for name in many:
            estimate = round(found.get(name, 0) * ALL_PERCENT / percent)
            counts[name] = PendingCount(
                # At least one more than were counted exists.
                max(estimate, EXACT_COUNT_LIMIT + 1),
                is_estimate=percent < ALL_PERCENT,
            )
    return counts


async def fetch_oldest_pending(connection: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Return the id of the oldest pending event of each of *names* that has one."""
    rows = await connection.fetch(QUERIES["oldest"], names)
    return {row["subscriber"]: row["event_id"] for row in rows}
