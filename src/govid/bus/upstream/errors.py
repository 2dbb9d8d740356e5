"""What can go wrong on the way to a department. None of it is an answer, none is anybody's fault.

All of them are outages: a handler that meets one spends no attempt, and its key waits.
"""

from typing import ClassVar, Self

from govid.bus.errors import Outage


class UpstreamFailure(Outage):
    """A department gave no answer that could be used.

    `reason` is a word out of the code, never of the other side: what it says may be personal (I9).
    `retry_after` is how many seconds it asked us to wait, if it did.
    """

    outcome: ClassVar[str] = "failed"

    def __init__(self, department: str, reason: str, *, retry_after: float | None = None) -> None:
        """Say which department it was, and why."""
        super().__init__(department)
        self.reason = reason
        self.retry_after = retry_after

    def again(self) -> Self:
        """Return the same failure for another caller, without the first one's traceback."""
        return type(self)(self.dependency, self.reason, retry_after=self.retry_after)


class Unavailable(UpstreamFailure):
    """The department is away: no connection, no answer in time, or an error of its own (5xx)."""

    outcome = "unavailable"


class Unusable(UpstreamFailure):
    """The department is there, and what it sent is no answer: too long, a wrong type, unreadable.

    It opens no breaker, as the next answer may be sound.
    """

    outcome = "unusable"


class RateLimited(UpstreamFailure):
    """The department asks for fewer calls (429)."""

    outcome = "rate_limited"


class AuthFailed(UpstreamFailure):
    """The department does not accept our credentials. An operator has to know."""

    outcome = "credentials_rejected"


class Misconfigured(UpstreamFailure):
    """A simulator answers where a department should."""

    outcome = "misconfigured"
