"""Who acts, and why: what travels with each request, each transaction and each event."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from govid.bus.shared.contract import Event


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who caused something: a person's account, a part of govid, an operator, or nobody known."""

    kind: Literal["anonymous", "account", "module", "operator", "external"]
    id: str | None = None


ANONYMOUS = Actor(kind="anonymous")


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The account behind a bearer token, as the database had it when this request came in.

    The token identifies; everything else here was read from rows a moment ago.
    """

    account_id: UUID
    session_id: UUID
    email: str | None
    identifier_type: str | None
    identifier_value: str | None
    phone_number: str | None
    status: str
    auth_provider: str
    created_at: datetime
    updated_at: datetime
    assurance: str = "P0"
    """How well the holder is known: P0 not at all, P1 by an identifier, P2 by name and birth."""

    def __repr__(self) -> str:
        """Name the account only: the rest is personal (I9)."""
        return f"<Principal {self.account_id}>"


class Witness:
    """An event that has to commit with the first transaction that its cause opens.

    A decision to let somebody write is recorded in the write's own transaction. When that
    transaction never commits, `written` stays false and the edge records the decision by itself.
    """

    __slots__ = ("event", "written")

    def __init__(self, event: Event) -> None:
        """Hold *event* until a transaction takes it."""
        self.event = event
        self.written = False


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why something happens: carried from a request or an event into all that follows from it."""

    correlation_id: str
    actor: Actor = ANONYMOUS
    causation_id: UUID | None = None
    traceparent: str | None = None
    witness: Witness | None = None
    address: str | None = None
    """The client's address, for throttles. It is in no event."""
