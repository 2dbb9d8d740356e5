"""The question to a department, and its answer."""

from datetime import datetime
from uuid import UUID

from msgspec import field

from govid.bus.contracts.base import Event, IdentifierType
from govid.bus.personal import Personal


class VerificationRequested(Event, frozen=True, kw_only=True):
    """An account claims an identifier; the department that owns it is asked."""

    user_id: UUID = field(name="userId")
    identifier_type: IdentifierType = field(name="identifierType")
    identifier_value: Personal[str] = field(name="identifierValue")
    timestamp: datetime
    correlation_id: str


class VerificationCompleted(Event, frozen=True, kw_only=True):
    """A department answered. `error` is a permanent code, never a text with personal data."""

    user_id: UUID = field(name="userId")
    identifier_type: IdentifierType = field(name="identifierType")
    is_verified: bool = field(name="isVerified")
    timestamp: datetime
    error: str | None = None


class NhsVerificationCompleted(VerificationCompleted, frozen=True, kw_only=True):
    """The NHS answered."""


class HmrcVerificationCompleted(VerificationCompleted, frozen=True, kw_only=True):
    """HMRC answered."""
