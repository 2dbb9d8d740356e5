"""Limits the calls to a simulator by a token bucket, as departments do."""

from govid.bus.clock import Clock


class TokenBucket:
    """A token-bucket rate limit: tokens arrive evenly, and at most one second's worth is kept."""

    def __init__(self, per_second: float | None, clock: Clock) -> None:
        """Add *per_second* tokens a second; None means no limit."""
        self._rate = per_second
        self._clock = clock
        self._tokens = per_second or 0.0
        self._filled_at = clock.now()

    def try_acquire(self) -> bool:
        """Take a token if there is one; tell whether there was."""
        if self._rate is None:
            return True
        now = self._clock.now()
        earned = (now - self._filled_at).total_seconds() * self._rate
        self._tokens = min(self._rate, self._tokens + max(0.0, earned))
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
