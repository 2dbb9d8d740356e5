"""What is counted of calls to departments. Labels come out of the code (I9)."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from govid.bus.upstream.breaker import BreakerState

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_NUMBERS: Mapping[BreakerState, int] = {
    BreakerState.CLOSED: 0,
    BreakerState.HALF_OPEN: 1,
    BreakerState.OPEN: 2,
}


class UpstreamMetrics:
    """The instruments, one set for all departments of a process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Stand on *registry*; without one, count where nobody looks."""
        registry = registry or CollectorRegistry()
        self._seconds = Histogram(
            "govid_department_seconds",
            "Attempts to get an answer; the outcome is a status or a kind of failure.",
            ["department", "operation", "outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        self._breakers = Gauge(
            "govid_breaker_state",
            "0 closed, 1 half open, 2 open: no calls are made.",
            ["department", "api"],
            registry=registry,
        )

        self._wrong_answers = Counter(
            "govid_department_wrong_answers_total",
            "Answers about another person or appointment than was asked about.",
            ["department"],
            registry=registry,
        )

    def expect(self, department: str) -> None:
        """Begin the series of *department* that an alarm watches, at 0."""
        self._wrong_answers.labels(department)

    def attempted(self, department: str, operation: str, outcome: str, seconds: float) -> None:
        """Count one attempt that took *seconds*."""
        self._seconds.labels(department, operation, outcome).observe(seconds)

    def wrong_answer(self, department: str) -> None:
        """Count one answer that was about something else than was asked."""
        self._wrong_answers.labels(department).inc()

    def breaker(self, department: str, api: str, state: BreakerState) -> None:
        """Remember what the breaker of an API does."""
        self._breakers.labels(department, api).set(_NUMBERS[state])
