"""The death notice that HMRC publishes."""

from datetime import datetime
from uuid import UUID

from msgspec import field

from govid.bus.personal import Personal
from govid.bus.shared.contract import Event, IdentifierType


class DeathNotified(Event, frozen=True, kw_only=True):
    """The person with the identifier has died. A time without an offset is UTC."""

    identifier_type: IdentifierType = field(name="identifierType")
    identifier_value: Personal[str] = field(name="identifierValue")
    user_id: UUID | None = field(name="userId", default=None)
    reason: Personal[str | None] = None
    timestamp: datetime
