"""Events of the processing of death notices. They are internal: no Kafka topic carries them.

They refer to the notice by its id and to the identifier by a keyed digest, never by its value.
"""

from datetime import datetime
from uuid import UUID

from govid.bus.shared.contract import Event, IdentifierType


class LifeEvent(Event, frozen=True, kw_only=True):
    """Base of the events that concern one notice.

    `occurred_at` is the time of the life event according to the notice.
    """

    notice_id: UUID
    account_id: UUID | None = None
    identifier_type: IdentifierType
    identifier_digest: str | None = None
    occurred_at: datetime | None = None
    timestamp: datetime


class LifeEventReceived(LifeEvent, frozen=True, kw_only=True):
    """A notice was received."""


class LifeEventApplied(LifeEvent, frozen=True, kw_only=True):
    """The notice is the newest about the account and was applied.

    `changed` is false if the account already had the resulting status.
    """

    changed: bool


class LifeEventIgnoredStale(LifeEvent, frozen=True, kw_only=True):
    """The notice was ignored, because a newer one is known for the account."""


class LifeEventParked(LifeEvent, frozen=True, kw_only=True):
    """The notice is scheduled for the future, or no account has its identifier (`unclaimed`)."""

    reason: str


class LifeEventIllegal(LifeEvent, frozen=True, kw_only=True):
    """The notice has an impossible identifier or time. It is not retried."""

    reason: str


class ReviewOpened(LifeEvent, frozen=True, kw_only=True):
    """The notice needs a manual review; `reason` is a permanent code."""

    review_id: UUID
    reason: str
