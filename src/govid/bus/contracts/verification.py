"""The question to a department, and its answer."""

from datetime import datetime
from uuid import UUID

from msgspec import field

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.personal import Personal
from govid.bus.shared.contract import Event, IdentifierType


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


class VerificationRefused(AccountEvent, frozen=True, kw_only=True):
    """No department is asked: all attempts are spent. It stays inside, without a Kafka topic."""

    identifier_type: IdentifierType


class VerificationAttemptsForgiven(AccountEvent, frozen=True, kw_only=True):
    """An operator gave attempts back to an account and to its identifier. It stays inside.

    `stated_reason` is in the operator's own words, and names nobody.
    """

    attempts: int
    operator: str
    stated_reason: str


class EvidenceGathered(AccountEvent, frozen=True, kw_only=True):
    """On what a department's answer rests. It stays inside, before the answer on its topic.

    `request_id` is the event that asked, `transaction` the department's own id of the exchange.
    `outcome` is match, mismatch, deceased, restricted, incomplete, or insufficient, upon which no
    answer follows. Scores go from 0 to 4 (Good Practice Guide 45). Outcome and contra-indicators
    are personal, as they may tell of a death.
    """

    request_id: UUID
    identifier_type: IdentifierType
    outcome: Personal[str]
    method: str | None = None
    strength: int = 0
    validity: int = 0
    transaction: str | None = None
    contra_indicators: Personal[tuple[str, ...]] = ()


class NhsEvidenceGathered(EvidenceGathered, frozen=True, kw_only=True):
    """The NHS has looked."""


class HmrcEvidenceGathered(EvidenceGathered, frozen=True, kw_only=True):
    """HMRC has looked."""
