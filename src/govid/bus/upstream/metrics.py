"""Metrics of requests to departments. Label values are constants of the code (I9)."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from govid.bus.upstream.breaker import BreakerState

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_NUMBERS: Mapping[BreakerState, int] = {
    BreakerState.CLOSED: 0,
    BreakerState.HALF_OPEN: 1,
    BreakerState.OPEN: 2,
}


class UpstreamMetrics:
    """The metrics of all departments of a process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register in *registry*; None means a private registry that is not exported."""
        registry = registry or CollectorRegistry()
        self._seconds = Histogram(
            "govid_department_seconds",
            "Duration of requests to a department; the outcome is a status or a kind of failure.",
            ["department", "operation", "outcome"],
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._breakers = Gauge(
            "govid_breaker_state",
            "State of the circuit breaker: 0 closed, 1 half open, 2 open (no requests are sent).",
            ["department", "api"],
            registry=registry,
        )

        self._wrong_answers = Counter(
            "govid_department_wrong_answers_total",
            "Responses about another person or appointment than was requested.",
            ["department"],
            registry=registry,
        )

    def register_department(self, department: str) -> None:
        """Start the series of *department* that an alert watches, at 0."""
        self._wrong_answers.labels(department)

    def record_attempt(self, department: str, operation: str, outcome: str, seconds: float) -> None:
        """Record one attempt that took *seconds*."""
        self._seconds.labels(department, operation, outcome).observe(seconds)

    def record_wrong_answer(self, department: str) -> None:
        """Count one response that was about another person or appointment."""
        self._wrong_answers.labels(department).inc()

    def set_breaker_state(self, department: str, api: str, state: BreakerState) -> None:
        """Set the state of the circuit breaker of an API."""
        self._breakers.labels(department, api).set(_NUMBERS[state])
