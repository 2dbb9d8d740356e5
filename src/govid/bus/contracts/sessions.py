"""Events of sessions and signing keys. They are internal: no Kafka topic carries them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.shared.contract import Event


class SessionCreated(AccountEvent, frozen=True, kw_only=True):
    """A session was created at login. `acr` is the authentication context class of the login."""

    session_id: UUID
    client_id: str
    acr: str


class SessionRevoked(AccountEvent, frozen=True, kw_only=True):
    """Sessions were revoked before they expired, all for the same `reason`."""

    session_ids: Sequence[UUID]
    reason: str


class SessionExpired(AccountEvent, frozen=True, kw_only=True):
    """A session expired: it was idle for too long, or reached its absolute lifetime."""

    session_id: UUID


class RefreshReused(AccountEvent, frozen=True, kw_only=True):
    """A used refresh token was presented again, so its whole token family was revoked."""

    session_id: UUID
    client_id: str


class KeyRotated(Event, frozen=True, kw_only=True):
    """A signing key changed its state.

    `operator` and `stated_reason` are None if the rotation did it on schedule.
    """

    kid: str
    step: Literal["published", "activated", "retiring", "retired"]
    operator: str | None = None
    stated_reason: str | None = None
    timestamp: datetime
