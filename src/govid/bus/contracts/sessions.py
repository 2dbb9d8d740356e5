"""What happens to sign-ins and to the keys of their tokens. No Kafka topic carries these events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import Event


class SessionCreated(AccountEvent, frozen=True, kw_only=True):
    """Somebody signed in. `acr` is the level of the sign-in."""

    session_id: UUID
    client_id: str
    acr: str


class SessionRevoked(AccountEvent, frozen=True, kw_only=True):
    """Sessions were ended before their time, all for one `reason`."""

    session_ids: Sequence[UUID]
    reason: str


class SessionExpired(AccountEvent, frozen=True, kw_only=True):
    """A session was idle for too long, or had lasted as long as a session may."""

    session_id: UUID


class RefreshReused(AccountEvent, frozen=True, kw_only=True):
    """A spent refresh token was shown again: it is in two hands, so its whole family is dead."""

    session_id: UUID
    client_id: str


class KeyRotated(Event, frozen=True, kw_only=True):
    """A signing key went a step further. `operator` and their words are None where time did it."""

    kid: str
    step: Literal["published", "activated", "retiring", "retired"]
    operator: str | None = None
    stated_reason: str | None = None
    timestamp: datetime
