"""Operation context: the actor and the cause of a request, a transaction or an event."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from govid.bus.shared.contract import Event
from govid.bus.shared.privacy import RedactedStruct


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The actor of an operation.

    It is an account, a module of govid, an operator, an external producer, or anonymous.
    """

    kind: Literal["anonymous", "account", "module", "operator", "external"]
    id: str | None = None


ANONYMOUS = Actor(kind="anonymous")


class Principal(RedactedStruct, frozen=True, kw_only=True):
    """The account and session of a bearer token, as read from the database for this request.

    The token only identifies them; all other members are current column values.
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
    """Identity assurance: P0 none, P1 by an identifier, P2 by name and date of birth."""

    repr_members: ClassVar[tuple[str, ...]] = ("account_id",)


class DeferredAccessEvent:
    """An access event that commits with the first transaction of its operation context.

    The decision to allow a write is recorded in the transaction of that write. If the transaction
    does not commit, `is_written` stays false and the edge middleware records the decision itself.
    """

    __slots__ = ("event", "is_written")

    def __init__(self, event: Event) -> None:
        """Hold *event* until a transaction emits it."""
        self.event = event
        self.is_written = False


class OperationContext(msgspec.Struct, frozen=True, kw_only=True):
    """The context of an operation: its actor, correlation id and cause.

    It is passed from a request or an event to every transaction and event that results from it.
    """

    correlation_id: str
    actor: Actor = ANONYMOUS
    causation_id: UUID | None = None
    traceparent: str | None = None
    deferred_event: DeferredAccessEvent | None = None
    client_address: str | None = None
    """The client's network address, for rate limits. It is in no event."""
