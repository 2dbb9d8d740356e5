"""What became of notices of death. These events stay inside: they have no Kafka topic.

They name the notice by its id and the identifier by a keyed digest, never by itself.
"""

from datetime import datetime
from uuid import UUID

from govid.bus.shared.contract import Event, IdentifierType


class LifeEvent(Event, frozen=True, kw_only=True):
    """Something about one notice. `occurred_at` is when the notice says that it happened."""

    notice_id: UUID
    account_id: UUID | None = None
    identifier_type: IdentifierType
    identifier_digest: str | None = None
    occurred_at: datetime | None = None
    timestamp: datetime


class LifeEventReceived(LifeEvent, frozen=True, kw_only=True):
    """A notice came in."""


class LifeEventApplied(LifeEvent, frozen=True, kw_only=True):
    """The notice is the newest word about the account. It `changed` it, unless it was so before."""

    changed: bool


class LifeEventIgnoredStale(LifeEvent, frozen=True, kw_only=True):
    """Something newer is known of the account, so the notice changed nothing."""


class LifeEventParked(LifeEvent, frozen=True, kw_only=True):
    """The notice is kept: it is of the future, or nobody holds its identifier (`unclaimed`)."""

    reason: str


class LifeEventIllegal(LifeEvent, frozen=True, kw_only=True):
    """The notice names no identifier or no time that there could be. It is not tried again."""

    reason: str


class ReviewOpened(LifeEvent, frozen=True, kw_only=True):
    """A person has to look at the notice; `reason` is a permanent code."""

    review_id: UUID
    reason: str
