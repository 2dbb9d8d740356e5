"""Failures of a request to a department. None of them is an answer about a person.

All of them are outages: a handler that meets one spends no attempt, and its key waits.
"""

from typing import ClassVar, Self

from govid.bus.errors import Outage


class UpstreamFailure(Outage):
    """A department gave no response that can be used.

    `reason` is a constant of the code, never text from the department, which may be personal (I9).
    `retry_after` is how many seconds the department asked govid to wait, if it did.
    """

    outcome: ClassVar[str] = "failed"

    def __init__(self, department: str, reason: str, *, retry_after: float | None = None) -> None:
        """Fail because of *reason* at *department*."""
        super().__init__(department)
        self.reason = reason
        self.retry_after = retry_after

    def copy(self) -> Self:
        """Return an equal failure for another caller, without the traceback of this one."""
        return type(self)(self.dependency, self.reason, retry_after=self.retry_after)


class UpstreamUnavailable(UpstreamFailure):
    """The department is unavailable: no connection, no response in time, or a 5xx status."""

    outcome = "unavailable"


class UnusableResponse(UpstreamFailure):
    """The department responded, but unusably: too long, of a wrong type, or not decodable.

    It opens no circuit breaker, because the next response may be usable.
    """

    outcome = "unusable"


class UpstreamRateLimited(UpstreamFailure):
    """The department limits the rate of calls (429)."""

    outcome = "rate_limited"


class CredentialsRejected(UpstreamFailure):
    """The department rejects govid's credentials. An operator has to act."""

    outcome = "credentials_rejected"


class UnexpectedSimulator(UpstreamFailure):
    """A simulator answers where a real department is required."""

    outcome = "misconfigured"
