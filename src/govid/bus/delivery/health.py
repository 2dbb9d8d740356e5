"""Dispatcher health: for how long the rounds of a subscriber have ended in errors.

A replica that owns its leases but cannot read or write deliveries would otherwise look healthy, for
example if it lacks a database right. An outage of a department does not count.
"""

from collections.abc import Callable
from time import monotonic

FAILING_SECONDS = 15.0
"""How long rounds may fail before the dispatcher counts as `failing`."""
IDLE_SECONDS = 5.0
"""How long after the last error a round without work counts as a success."""
UNREADY_SECONDS = 60.0
"""How long a failing dispatcher still counts as ready: other replicas may fail too."""


class DispatcherHealth:
    """Records since when each subscriber has failed."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin without failures; *clock* is monotonic."""
        self._clock = clock
        self._failing_since: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}

    def record_failure(self, subscriber: str) -> None:
        """Record that a round, or the delivery of an event, ended in an error."""
        self._failing_since.setdefault(subscriber, self._clock())
        self._failed_at[subscriber] = self._clock()

    def record_success(self, subscriber: str) -> None:
        """Record that an event was handled."""
        self._failing_since.pop(subscriber, None)

    def record_idle(self, subscriber: str) -> None:
        """Record a round without work.

        It ends a failure only after a while: not every fetch of the backlog needs every right.
        """
        if self._clock() - self._failed_at.get(subscriber, float("-inf")) >= IDLE_SECONDS:
            self.record_success(subscriber)

    @property
    def failing_seconds(self) -> float:
        """For how many seconds the longest-failing subscriber has failed; 0 if none fails."""
        since = min(self._failing_since.values(), default=self._clock())
        return self._clock() - since

    @property
    def is_failing(self) -> bool:
        """Whether a subscriber has failed for longer than a passing error lasts."""
        return self.failing_seconds >= FAILING_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether this replica may still receive requests."""
        return self.failing_seconds < UNREADY_SECONDS
