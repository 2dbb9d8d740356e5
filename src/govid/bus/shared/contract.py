"""Defines the base of event structs, and the enumerations of the contract.

The enumerations (`IdentifierType`, `Topic`, `AccountStatus`) are stored, published or shown to
clients, so their values are permanent.
"""

from enum import StrEnum

from govid.bus.shared.privacy import RedactedStruct


class Event(RedactedStruct, frozen=True, kw_only=True):
    """A published fact, in the shape that consumers read.

    Wire names are the contract's. Unlike request structs, event structs accept unknown members on
    input: an external producer may be newer than this release, and its message must not be lost.
    The repr shows no member, because some are personal (I9).
    """


class IdentifierType(StrEnum):
    """The department that owns an identifier: a National Insurance number or an NHS number."""

    NIN = "NIN"
    NHS = "NHS"


class Topic(StrEnum):
    """The Kafka topics of the contract.

    Settings may rename three of them on the wire; govid itself always uses these names.
    """

    VERIFICATION_REQUEST = "identity.verification.request"
    VERIFICATION_RESULT = "identity.verification.result"
    DEATH_NOTIFICATION = "hmrc.death.notification"
    APPOINTMENT_REQUEST = "nhs.appointment.request"
    APPOINTMENT_RESULT = "nhs.appointment.result"
    ACTIVITY = "system.logs.activity"
    ACCESS = "system.logs.access"
    AUDIT_CHECKPOINT = "system.audit.checkpoint"


class AccountStatus(StrEnum):
    """The state of an account; each value is permanent, because it is stored and published."""

    PENDING = "pending_verification"
    VERIFIED = "verified"
    FAILED = "verification_failed"
    REGISTERED = "registered"
    """The account holds no identifier."""
    BLOCKED = "blocked"
    CLOSED = "closed"


UNVERIFIED = (AccountStatus.PENDING, AccountStatus.FAILED)
"""The states in which an account claims an identifier that no department has confirmed."""
