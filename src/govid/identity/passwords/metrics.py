"""Counts password hashes.

The metrics never tell for which account a hash is made or whether one existed. Otherwise they
would reveal which accounts exist.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge


class HashMetrics:
    """The metrics of password hashing in one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register the metrics on *registry*; without one, they are not exposed."""
        registry = registry or CollectorRegistry()
        self._waiting = Gauge(
            "govid_hashes_waiting", "Requests that wait for a password hash.", registry=registry
        )
        hashes = Counter(
            "govid_hashes",
            "Password hashes by outcome; `refused` if the queue was full or too slow.",
            ["outcome"],
            registry=registry,
        )
        self._begun, self._refused = hashes.labels("begun"), hashes.labels("refused")

    def set_waiting(self, number: int) -> None:
        """Set the number of waiting requests."""
        self._waiting.set(number)

    def count_begun(self) -> None:
        """Count a hash that has started."""
        self._begun.inc()

    def count_refused(self) -> None:
        """Count a request that was rejected by the full queue or waited too long."""
        self._refused.inc()
