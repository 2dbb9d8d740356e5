"""Samples the number of open reviews as a gauge."""

from prometheus_client import CollectorRegistry, Gauge

from govid.bus import Database

REVIEW_SAMPLE_SECONDS = 60.0
"""The gauge is sampled, because an immediate counter would reveal which registration used the
identifier of a person who was reported dead."""
MAX_COUNTED_REVIEWS = 10_000
"""Largest number that is counted. More open reviews raise the same alarm."""

_COUNT_OPEN_REVIEWS = """
SELECT count(*) FROM (SELECT FROM identity.review_item WHERE state = 'open' LIMIT $1) AS found
"""


class OpenReviewGauge:
    """Samples the number of open reviews, at most `MAX_COUNTED_REVIEWS`."""

    def __init__(self, database: Database, registry: CollectorRegistry | None = None) -> None:
        """Register the gauge in *registry*, or in a private registry if None."""
        self._database = database
        self._gauge = Gauge(
            "govid_reviews_open",
            "Reviews that wait for a person, sampled once a minute; at most 10,000.",
            registry=registry or CollectorRegistry(),
        )

    async def sample(self) -> None:
        """Read the number once."""
        self._gauge.set(
            await self._database.reads.fetchval(_COUNT_OPEN_REVIEWS, MAX_COUNTED_REVIEWS)
        )
