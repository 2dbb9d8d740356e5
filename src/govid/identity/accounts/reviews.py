"""How many reviews are open, as a gauge that is sampled and therefore tells nothing at once."""

from prometheus_client import CollectorRegistry, Gauge

from govid.bus import Database

PERIOD_SECONDS = 60.0
"""A counter would rise beside the registration of a number that was reported dead."""
COUNTED = 10_000
"""So many are counted at most: more of them are the same alarm."""

_COUNT = """
SELECT count(*) FROM (SELECT FROM identity.review_item WHERE state = 'open' LIMIT $1) AS found
"""


class OpenReviews:
    """Samples the number of open reviews."""

    def __init__(self, database: Database, registry: CollectorRegistry | None = None) -> None:
        """Stand on *registry*; without one, count for nobody."""
        self._database = database
        self._gauge = Gauge(
            "govid_reviews_open",
            "Reviews that wait for a person, sampled once a minute; 10,000 at most.",
            registry=registry or CollectorRegistry(),
        )

    async def sample(self) -> None:
        """Look once."""
        self._gauge.set(await self._database.reads.fetchval(_COUNT, COUNTED))
