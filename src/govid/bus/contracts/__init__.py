"""Exports every event that modules and external consumers share.

It holds the event structs only. The registry of their names, versions, topics and keys, and the
envelopes around them, are built on top of it.
"""

from govid.bus.contracts.accounts import (
    AccountBlocked,
    AccountEvent,
    AccountRegistered,
    AccountRestored,
    AccountVerificationFailed,
    AccountVerified,
)
from govid.bus.contracts.appointments import (
    AppointmentDecided,
    AppointmentRequested,
    AppointmentSlotHeld,
)
from govid.bus.contracts.claims import (
    AccountClaimExpired,
    AccountClosed,
    AccountIdentifierReleased,
)
from govid.bus.contracts.consents import (
    TaxConsentGranted,
    TaxConsentLapsed,
    TaxConsentWithdrawn,
)
from govid.bus.contracts.credentials import (
    CredentialChanged,
    CredentialCorrupt,
    CredentialResetRequested,
    EmailChanged,
    EmailChangeRequested,
    EmailConfirmed,
    LetterWritten,
)
from govid.bus.contracts.deaths import DeathNotified
from govid.bus.contracts.life_events import (
    LifeEvent,
    LifeEventApplied,
    LifeEventIgnoredStale,
    LifeEventIllegal,
    LifeEventParked,
    LifeEventReceived,
    ReviewOpened,
)
from govid.bus.contracts.logs import AccessDecided, RequestFinished, RequestReceived
from govid.bus.contracts.operations import (
    DataViewed,
    OutboxAct,
    OutboxBackfilled,
    OutboxDiscarded,
    OutboxReplayed,
    OutboxRetried,
    OutboxUnparked,
    TopicAct,
    TopicGapAccepted,
    TopicKafkaAheadAccepted,
    TopicPartitionsAccepted,
    TopicRecordsSkipped,
)
from govid.bus.contracts.patients import PatientRecordRefused
from govid.bus.contracts.sessions import (
    KeyRotated,
    RefreshReused,
    SessionCreated,
    SessionExpired,
    SessionRevoked,
)
from govid.bus.contracts.throttling import (
    LoginFailed,
    LoginLocked,
    LoginLockExpired,
    LoginRefusedBlocked,
    LoginSucceeded,
    RegistrationDuplicated,
)
from govid.bus.contracts.verification import (
    EvidenceGathered,
    HmrcEvidenceGathered,
    HmrcVerificationCompleted,
    NhsEvidenceGathered,
    NhsVerificationCompleted,
    VerificationAttemptsForgiven,
    VerificationCompleted,
    VerificationRefused,
    VerificationRequested,
)
from govid.bus.shared.contract import Event, IdentifierType, Topic

__all__ = [
    "AccessDecided",
    "AccountBlocked",
    "AccountClaimExpired",
    "AccountClosed",
    "AccountEvent",
    "AccountIdentifierReleased",
    "AccountRegistered",
    "AccountRestored",
    "AccountVerificationFailed",
    "AccountVerified",
    "AppointmentDecided",
    "AppointmentRequested",
    "AppointmentSlotHeld",
    "CredentialChanged",
    "CredentialCorrupt",
    "CredentialResetRequested",
    "DataViewed",
    "DeathNotified",
    "EmailChangeRequested",
    "EmailChanged",
    "EmailConfirmed",
    "Event",
    "EvidenceGathered",
    "HmrcEvidenceGathered",
    "HmrcVerificationCompleted",
    "IdentifierType",
    "KeyRotated",
    "LetterWritten",
    "LifeEvent",
    "LifeEventApplied",
    "LifeEventIgnoredStale",
    "LifeEventIllegal",
    "LifeEventParked",
    "LifeEventReceived",
    "LoginFailed",
    "LoginLockExpired",
    "LoginLocked",
    "LoginRefusedBlocked",
    "LoginSucceeded",
    "NhsEvidenceGathered",
    "NhsVerificationCompleted",
    "OutboxAct",
    "OutboxBackfilled",
    "OutboxDiscarded",
    "OutboxReplayed",
    "OutboxRetried",
    "OutboxUnparked",
    "PatientRecordRefused",
    "RefreshReused",
    "RegistrationDuplicated",
    "RequestFinished",
    "RequestReceived",
    "ReviewOpened",
    "SessionCreated",
    "SessionExpired",
    "SessionRevoked",
    "TaxConsentGranted",
    "TaxConsentLapsed",
    "TaxConsentWithdrawn",
    "Topic",
    "TopicAct",
    "TopicGapAccepted",
    "TopicKafkaAheadAccepted",
    "TopicPartitionsAccepted",
    "TopicRecordsSkipped",
    "VerificationAttemptsForgiven",
    "VerificationCompleted",
    "VerificationRefused",
    "VerificationRequested",
]
