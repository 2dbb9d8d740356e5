"""What can go wrong, in words that a caller may see."""

from enum import StrEnum
from typing import ClassVar

import msgspec


class Kind(StrEnum):
    """The class of a refusal; the edge turns it into a status code, nobody else needs one."""

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
    """One wrong place in a request: where it is and what is wrong, never the value itself."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class GovidError(Exception):
    """A refusal that its caller may read.

    The first line of a subclass's docstring is the sentence that a client sees; `code` is for
    machines and permanent. Neither may hold personal data (I9).
    """

    code: ClassVar[str]
    kind: ClassVar[Kind]

    def __init__(
        self,
        detail: str | None = None,
        *,
        faults: tuple[FieldFault, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        """Refuse with *detail*, or with the class's own sentence."""
        self.detail = detail or (type(self).__doc__ or "").partition("\n")[0].rstrip(".")
        self.faults = faults
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.code)


class Invalid(GovidError):
    """The request is not valid."""

    code = "invalid-request"
    kind = Kind.INVALID

    @classmethod
    def at(cls, field: str, msg: str, kind: str, *, place: str = "body") -> "Invalid":
        """Return the error for one wrong *field*; *msg* says what is wrong, never the value."""
        fault = FieldFault(loc=(place, field), msg=msg, type=kind)
        return cls(f"{field}: {msg}", faults=(fault,))


class Outage(Exception):
    """A thing that govid depends on is away.

    Raised by a handler, it costs no attempt: the event's key waits with back-off and is tried
    again for as long as it takes.
    """

    def __init__(self, dependency: str) -> None:
        """Name the dependency, as it appears in logs and metrics."""
        self.dependency = dependency
        super().__init__(dependency)


class TransactionClosed(RuntimeError):
    """An event was emitted outside of a transaction."""
