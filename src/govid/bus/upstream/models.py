"""Defines the request to a department, its response, and the failures on the way.

All failures are outages: a handler that meets one spends no attempt, and its key waits. None of
them is an answer about a person.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from govid.bus.shared.errors import Outage
from govid.bus.shared.privacy import RedactedStruct

T = TypeVar("T")


class UpstreamRequest(RedactedStruct, frozen=True, kw_only=True):
    """One request to a department.

    `operation` and `route` appear in logs and metrics: a name (`patient.read`) and a path template.
    `path` is the real path, below the API's base URL, and appears nowhere else. A `repeatable`
    request is sent again unchanged after a transport failure.
    """

    operation: str
    method: str
    route: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    accepts: tuple[str, ...] = ("application/json",)
    """Media types that a response with a body may have."""
    repeatable: bool = False
    correlation_id: str | None = None

    repr_members: ClassVar[tuple[str, ...]] = ("operation",)


class UpstreamResponse(RedactedStruct, frozen=True, kw_only=True):
    """The department's response: any status from 200 to 499 except 3xx, 408 and 429.

    The names of `headers` are in lower case.
    """

    department: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def decode(self, shape: type[T]) -> T:
        """Decode the body as *shape*; unknown members are ignored.

        Raises:
            UnusableResponse: the body has another shape.
        """
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Without the cause: its message may quote the body (I9).
            raise UnusableResponse(self.department, "unreadable body") from None

    def json(self) -> Any:
        """Decode the body as plain JSON.

        Raises:
            UnusableResponse: the body is not JSON.
        """
        return self.decode(object)

    repr_members: ClassVar[tuple[str, ...]] = ("status",)


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
    """The department is unavailable: no connection, no response in time, or status 408 or 5xx.

    Also raised, without a request, while the circuit breaker is open or another call is its probe.
    """

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
