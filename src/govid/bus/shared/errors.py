"""Base classes of the errors that a client may see, and the outage of a dependency."""

from enum import StrEnum
from typing import ClassVar

import msgspec


class ErrorKind(StrEnum):
    """The kind of an error, which the gateway maps to an HTTP status code."""

    REFUSED = "refused"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    CHANGED = "changed"
    UNCONDITIONAL = "unconditional"
    INVALID = "invalid"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


class FieldFault(msgspec.Struct, frozen=True, kw_only=True):
    """One invalid field of a request: its location and the problem, never its value."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class GovidError(Exception):
    """An error whose message the client may see.

    The first line of a subclass's docstring is the message; `code` is permanent and for programs.
    Neither may contain personal data (I9).
    """

    code: ClassVar[str]
    kind: ClassVar[ErrorKind]

    def __init__(
        self,
        detail: str | None = None,
        *,
        field_problems: tuple[FieldFault, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        """Use *detail* as the message, or the first line of the class's docstring."""
        self.detail = detail or (type(self).__doc__ or "").partition("\n")[0].rstrip(".")
        self.field_problems = field_problems
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.code)


class InvalidRequest(GovidError):
    """The request is not valid."""

    code = "invalid-request"
    kind = ErrorKind.INVALID

    @classmethod
    def for_field(
        cls, field: str, msg: str, kind: str, *, location: str = "body"
    ) -> "InvalidRequest":
        """Return the error for one invalid *field*; *msg* states the problem, never the value."""
        problem = FieldFault(loc=(location, field), msg=msg, type=kind)
        return cls(f"{field}: {msg}", field_problems=(problem,))


class Outage(Exception):
    """A dependency of govid is unavailable.

    If a handler raises it, no attempt is spent: the event's key is retried with backoff until the
    dependency is available again.
    """

    def __init__(self, dependency: str) -> None:
        """Store the name of the dependency, as logs and metrics show it."""
        self.dependency = dependency
        super().__init__(dependency)


class TransactionClosed(RuntimeError):
    """An event was emitted after the end of its transaction."""
