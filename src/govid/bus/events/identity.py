"""Events of accounts, identifiers, credentials, sessions, life events and verification.

Only the verification request and its result have a Kafka topic; all other events are internal. They
refer to an identifier by a keyed digest and to a tried name by a keyed pseudonym (`subject`), which
groups attempts on one name without revealing it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import field

from govid.bus.shared.contract import Event, IdentifierType
from govid.bus.shared.privacy import Personal


class AccountEvent(Event, frozen=True, kw_only=True):
    """Base of the events that concern one account."""

    account_id: UUID
    timestamp: datetime


class AccountRegistered(AccountEvent, frozen=True, kw_only=True):
    """An account was registered.

    `has_prior_notice` tells whether a notice of death is in force for its identifier. Only the
    audit log keeps it, as a digest: the account holder must not learn it.
    """

    identifier_type: IdentifierType | None = None
    has_prior_notice: Personal[bool] = False


class AccountVerified(AccountEvent, frozen=True, kw_only=True):
    """The department that owns the identifier confirmed it for the account."""


class AccountVerificationFailed(AccountEvent, frozen=True, kw_only=True):
    """The department that owns the identifier did not confirm it for the account."""

    reason: str | None = None


class AccountBlocked(AccountEvent, frozen=True, kw_only=True):
    """The account was blocked and its sessions were revoked.

    `reason` is a permanent code. If an operator blocked the account, `operator` names them and
    `stated_reason` is the free text that they gave.
    """

    reason: str | None = None
    operator: str | None = None
    stated_reason: str | None = None


class AccountRestored(AccountEvent, frozen=True, kw_only=True):
    """A blocked account was restored; its old sessions stay revoked."""

    reason: str | None = None
    operator: str | None = None
    stated_reason: str | None = None


class AccountClaimExpired(AccountEvent, frozen=True, kw_only=True):
    """An account lost its claim to an identifier that no department had confirmed in time."""

    identifier_type: IdentifierType


class AccountClosed(AccountEvent, frozen=True, kw_only=True):
    """The account holder closed the account: personal data was erased, sessions were revoked."""


class AccountIdentifierReleased(AccountEvent, frozen=True, kw_only=True):
    """An identifier may be registered again.

    It belonged to a closed account, or an operator released it because it was never verified. In
    the second case `stated_reason` is the free text of the operator, without personal data.
    """

    identifier_type: IdentifierType
    operator: str | None = None
    stated_reason: str | None = None


class CredentialChanged(AccountEvent, frozen=True, kw_only=True):
    """The password was changed or reset; the sessions of the account were revoked."""

    how: Literal["change", "reset"]


class CredentialCorrupt(AccountEvent, frozen=True, kw_only=True):
    """The stored password hash of the account cannot be read, so every login is refused."""


class CredentialResetRequested(Event, frozen=True, kw_only=True):
    """A link to set a new password was requested.

    `account_id` is None if no account has the address, or if the account may not reset.
    """

    request_id: UUID
    account_id: UUID | None = None
    timestamp: datetime


class EmailConfirmed(AccountEvent, frozen=True, kw_only=True):
    """The account holder confirmed the email address of the account."""


class EmailChangeRequested(AccountEvent, frozen=True, kw_only=True):
    """A new email address was requested; the old one stays valid until the new one is confirmed."""


class EmailChanged(AccountEvent, frozen=True, kw_only=True):
    """The account has a new email address, which the account holder has confirmed."""


class LetterWritten(Event, frozen=True, kw_only=True):
    """An email is to be sent. Recipient and link are stored by identity, not in the event.

    If `is_held_back` is set, the quota of the recipient is exceeded and no email is sent.
    """

    letter_id: UUID
    kind: str
    is_held_back: bool = False
    timestamp: datetime


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

    `operator` and `stated_reason` are None if the step became due by time.
    """

    kid: str
    step: Literal["published", "activated", "retiring", "retired"]
    operator: str | None = None
    stated_reason: str | None = None
    timestamp: datetime


class LoginSucceeded(AccountEvent, frozen=True, kw_only=True):
    """A login presented the right password."""

    subject: str


class LoginFailed(Event, frozen=True, kw_only=True):
    """A login failed. `account_id` is None if no account has the address that was tried."""

    subject: str
    account_id: UUID | None = None
    reason: Literal["unknown", "wrong", "locked"]
    timestamp: datetime


class LoginRefusedBlocked(AccountEvent, frozen=True, kw_only=True):
    """A login presented the right password of a blocked account and was refused."""

    subject: str


class RegistrationDuplicated(Event, frozen=True, kw_only=True):
    """A registration named an address or an identifier that another account has."""

    subject: str
    taken: Literal["email", "NIN", "NHS"]
    timestamp: datetime


class LoginLocked(Event, frozen=True, kw_only=True):
    """Lockout: after too many failed attempts, `flow` refuses this name for a time."""

    flow: str
    subject: str
    account_id: UUID | None = None
    timestamp: datetime


class LoginLockExpired(Event, frozen=True, kw_only=True):
    """A lockout ended: it expired, or a password reset by email link ended it."""

    flow: str
    subject: str
    account_id: UUID | None = None
    timestamp: datetime


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
