"""What is counted of password hashes.

Never for whom, and never whether there was anything to verify: whoever may read the metrics would
learn by them which accounts exist.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge


class HashMetrics:
    """The instruments of one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Stand on *registry*; without one, count where nobody looks."""
        registry = registry or CollectorRegistry()
        self._waiting = Gauge(
            "govid_hashes_waiting", "Passwords that wait to be hashed.", registry=registry
        )
        hashes = Counter(
            "govid_hashes",
            "Passwords that were to be hashed; `refused` where the queue was full or too slow.",
            ["outcome"],
            registry=registry,
        )
        self._begun, self._refused = hashes.labels("begun"), hashes.labels("refused")

    def waiting(self, how_many: int) -> None:
        """Remember how many wait now."""
        self._waiting.set(how_many)

    def begun(self) -> None:
        """Count one hash that has got its turn."""
        self._begun.inc()

    def refused(self) -> None:
        """Count one that waited too long, or was not let wait."""
        self._refused.inc()
