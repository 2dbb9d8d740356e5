"""What is sent to a department, and what comes back."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from govid.bus.upstream.errors import Unusable

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    `operation` and `route` are what logs and metrics say of it: a name (`patient.read`) and a path
    with its variables unfilled. `path` is the real one, below the API's base URL, and is told to
    nobody else. `repeatable` calls are sent again when they fail on the way, exactly as they are.
    """

    operation: str
    method: str
    route: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    accepts: tuple[str, ...] = ("application/json",)
    """Media types that an answer with a body may have."""
    repeatable: bool = False
    correlation_id: str | None = None

    def __repr__(self) -> str:
        """Name the operation only (I9)."""
        return f"<Call {self.operation}>"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the department said: any status from 200 to 499 but 3xx, 408 and 429.

    The names of `headers` are in lower case.
    """

    api: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def decode(self, shape: type[T]) -> T:
        """Return the body as *shape*; members that it does not know are passed over.

        Raises:
            Unusable: the body is something else.
        """
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Without the cause: its text may quote the body (I9).
            raise Unusable(self.api, "unreadable body") from None

    def json(self) -> Any:
        """Return the body as plain JSON.

        Raises:
            Unusable: it is no JSON.
        """
        return self.decode(object)

    def __repr__(self) -> str:
        """Show the status only (I9)."""
        return f"<Answer {self.status}>"
