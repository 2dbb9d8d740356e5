"""A limit as departments keep it: so many calls a second, and never more saved up than that."""

from govid.bus.clock import Clock


class TokenBucket:
    """Lets calls pass as long as it holds tokens, which come at an even rate."""

    def __init__(self, per_second: float | None, clock: Clock) -> None:
        """Fill with *per_second* tokens a second; without a rate there is no limit."""
        self._rate = per_second
        self._clock = clock
        self._tokens = per_second or 0.0
        self._filled_at = clock.now()

    def take(self) -> bool:
        """Take a token, if there is one."""
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
