"""Tells for how long a subscriber's rounds have ended in errors.

A replica that holds its leases but cannot read or write deliveries looks healthy otherwise: it
lacks a right, or every transaction of it fails. An outage of a department does not count.
"""

from collections.abc import Callable
from time import monotonic

FAILING_SECONDS = 15.0
"""How long rounds may fail before the dispatcher counts as `failing`."""
IDLE_SECONDS = 5.0
"""How long rounds have to go without an error until one without work counts as a success."""
UNREADY_SECONDS = 60.0
"""How long a failing dispatcher still counts as ready: other replicas may fail likewise."""


class RoundHealth:
    """Remembers since when each subscriber has failed."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Know no failure; *clock* is monotonic."""
        self._clock = clock
        self._failing_since: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}

    def record_failure(self, subscriber: str) -> None:
        """Note that a round, or the delivery of an event, ended in an error."""
        self._failing_since.setdefault(subscriber, self._clock())
        self._failed_at[subscriber] = self._clock()

    def record_success(self, subscriber: str) -> None:
        """Note that an event was handled."""
        self._failing_since.pop(subscriber, None)

    def record_idle(self, subscriber: str) -> None:
        """Note that a round found nothing to do.

        That ends a failure only after a while: not every read of the backlog needs every right.
        """
        if self._clock() - self._failed_at.get(subscriber, float("-inf")) >= IDLE_SECONDS:
            self.record_success(subscriber)

    @property
    def seconds(self) -> float:
        """For how long the subscriber that has failed longest has failed; 0 if none does."""
        since = min(self._failing_since.values(), default=self._clock())
        return self._clock() - since

    @property
    def is_failing(self) -> bool:
        """Tell whether a subscriber has failed for too long to be a passing error."""
        return self.seconds >= FAILING_SECONDS

    @property
    def is_ready(self) -> bool:
        """Tell whether requests may still be sent here."""
        return self.seconds < UNREADY_SECONDS
