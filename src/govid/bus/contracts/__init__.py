"""The published language: every event that modules and outside consumers share."""

from govid.bus.contracts.accounts import (
    AccountBlocked,
    AccountEvent,
    AccountRegistered,
    AccountRestored,
    AccountVerificationFailed,
    AccountVerified,
)
from govid.bus.contracts.appointments import AppointmentDecided, AppointmentRequested
from govid.bus.contracts.base import Event, IdentifierType, Topic
from govid.bus.contracts.claims import (
    AccountClaimExpired,
    AccountClosed,
    AccountIdentifierReleased,
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
    OutboxAct,
    OutboxBackfilled,
    OutboxDiscarded,
    OutboxReplayed,
    OutboxRetried,
    OutboxUnparked,
)
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
    HmrcVerificationCompleted,
    NhsVerificationCompleted,
    VerificationCompleted,
    VerificationRequested,
)

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
    "CredentialChanged",
    "CredentialCorrupt",
    "CredentialResetRequested",
    "DeathNotified",
    "EmailChangeRequested",
    "EmailChanged",
    "EmailConfirmed",
    "Event",
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
    "NhsVerificationCompleted",
    "OutboxAct",
    "OutboxBackfilled",
    "OutboxDiscarded",
    "OutboxReplayed",
    "OutboxRetried",
    "OutboxUnparked",
    "RefreshReused",
    "RegistrationDuplicated",
    "RequestFinished",
    "RequestReceived",
    "ReviewOpened",
    "SessionCreated",
    "SessionExpired",
    "SessionRevoked",
    "Topic",
    "VerificationCompleted",
    "VerificationRequested",
]
