"""Events of identifier verification: the request to a department, its result and the evidence."""

from datetime import datetime
from uuid import UUID

from msgspec import field

from govid.bus.contracts.accounts import AccountEvent
from govid.bus.personal import Personal
from govid.bus.shared.contract import Event, IdentifierType


class VerificationRequested(Event, frozen=True, kw_only=True):
    """An account claims an identifier; the department that owns it is asked to verify it."""

    user_id: UUID = field(name="userId")
    identifier_type: IdentifierType = field(name="identifierType")
    identifier_value: Personal[str] = field(name="identifierValue")
    timestamp: datetime
    correlation_id: str


class VerificationCompleted(Event, frozen=True, kw_only=True):
    """A department answered a verification request.

    `error` is a permanent code, never a text with personal data.
    """

    user_id: UUID = field(name="userId")
    identifier_type: IdentifierType = field(name="identifierType")
    is_verified: bool = field(name="isVerified")
    timestamp: datetime
    error: str | None = None


class NhsVerificationCompleted(VerificationCompleted, frozen=True, kw_only=True):
    """The NHS answered a verification request."""


class HmrcVerificationCompleted(VerificationCompleted, frozen=True, kw_only=True):
    """HMRC answered a verification request."""


class VerificationRefused(AccountEvent, frozen=True, kw_only=True):
    """No department is asked, because all attempts are used. The event is internal."""

    identifier_type: IdentifierType


class VerificationAttemptsForgiven(AccountEvent, frozen=True, kw_only=True):
    """An operator reset the attempt counters of an account and its identifier.

    The event is internal. `stated_reason` is the free text of the operator, without personal data.
    """

    attempts: int
    operator: str
    stated_reason: str


class EvidenceGathered(AccountEvent, frozen=True, kw_only=True):
    """Evidence for the answer of a department. It is internal and precedes the published answer.

    `request_id` is the id of the request event, `transaction` the department's id of the exchange.
    `outcome` is match, mismatch, deceased, restricted, incomplete or insufficient; no answer
    follows an insufficient one. Scores range from 0 to 4 (Good Practice Guide 45). Outcome and
    contra-indicators are personal data, because they may reveal a death.
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
    """Evidence from the NHS."""


class HmrcEvidenceGathered(EvidenceGathered, frozen=True, kw_only=True):
    """Evidence from HMRC."""
