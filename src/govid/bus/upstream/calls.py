"""Defines the request to a department, and its response."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from govid.bus.upstream.errors import UnusableResponse

T = TypeVar("T")


class UpstreamRequest(msgspec.Struct, frozen=True, kw_only=True):
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

    def __repr__(self) -> str:
        """Name the operation only (I9)."""
        return f"<{type(self).__name__} {self.operation}>"


class UpstreamResponse(msgspec.Struct, frozen=True, kw_only=True):
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

    def __repr__(self) -> str:
        """Show the status only (I9)."""
        return f"<{type(self).__name__} {self.status}>"
