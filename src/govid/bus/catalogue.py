"""The table of event types: what each is called, where it goes and what orders it.

One table drives the registry of decoders, the relay, the inbox and the documents. A type's name
never changes (I10), and has nothing to do with the name of a class.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from govid.bus.contracts import (
    AccessDecided,
    AccountBlocked,
    AccountClaimExpired,
    AccountClosed,
    AccountIdentifierReleased,
    AccountRegistered,
    AccountRestored,
    AccountVerificationFailed,
    AccountVerified,
    AppointmentDecided,
    AppointmentRequested,
    AppointmentSlotHeld,
    CredentialChanged,
    CredentialCorrupt,
    CredentialResetRequested,
    DeathNotified,
    EmailChanged,
    EmailChangeRequested,
    EmailConfirmed,
    Event,
    HmrcEvidenceGathered,
    HmrcVerificationCompleted,
    IdentifierType,
    KeyRotated,
    LetterWritten,
    LifeEvent,
    LifeEventApplied,
    LifeEventIgnoredStale,
    LifeEventIllegal,
    LifeEventParked,
    LifeEventReceived,
    LoginFailed,
    LoginLocked,
    LoginLockExpired,
    LoginRefusedBlocked,
    LoginSucceeded,
    NhsEvidenceGathered,
    NhsVerificationCompleted,
    OutboxAct,
    OutboxBackfilled,
    OutboxDiscarded,
    OutboxReplayed,
    OutboxRetried,
    OutboxUnparked,
    RefreshReused,
    RegistrationDuplicated,
    ReviewOpened,
    SessionCreated,
    SessionExpired,
    SessionRevoked,
    TaxConsentGranted,
    TaxConsentLapsed,
    TaxConsentWithdrawn,
    Topic,
    VerificationAttemptsForgiven,
    VerificationRefused,
    VerificationRequested,
)
from govid.bus.pseudonyms import Pseudonyms


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of event.

    `stream` and `subject` make the key that orders it (`verification/6f1c...`); without a stream
    it has no order. `account` gives the account's id, which is the key of its Kafka record.
    """

    name: str
    version: int = 1
    struct: type[Event]
    topic: Topic | None = None
    stream: str | None = None
    subject: Callable[[Any, Pseudonyms], str | None]
    account: Callable[[Any], str | None]

    def key(self, event: Event, pseudonyms: Pseudonyms) -> str | None:
        """Return the key within which *event* is ordered, or None if it has no order."""
        return None if self.stream is None else f"{self.stream}/{self.subject(event, pseudonyms)}"


def _user(event: Any) -> str | None:
    return None if event.user_id is None else str(event.user_id)


def _of_user(event: Any, _: Pseudonyms) -> str | None:
    return _user(event)


def _account(event: Any) -> str | None:
    return str(event.account_id)


def _of_account(event: Any, _: Pseudonyms) -> str | None:
    return _account(event)


def _of_identifier(event: DeathNotified, pseudonyms: Pseudonyms) -> str | None:
    # A key is seen by operators and brokers: the identifier itself may not stand in it (I9).
    return pseudonyms.of(f"{event.identifier_type}:{event.identifier_value}")


def _inside(name: str, struct: type[Event]) -> EventType:
    return EventType(
        name=name, struct=struct, stream="account", subject=_of_account, account=_account
    )


def _at_the_door(name: str, struct: type[Event]) -> EventType:
    # No order, as the numbers of a key stay for ever, and anybody may try any name.
    return EventType(
        name=name,
        struct=struct,
        subject=lambda _event, _pseudonyms: None,
        account=lambda event: None if event.account_id is None else str(event.account_id),
    )


def _outside(name: str, struct: type[Event], topic: Topic, stream: str) -> EventType:
    return EventType(
        name=name, struct=struct, topic=topic, stream=stream, subject=_of_user, account=_user
    )


def _by_an_operator(name: str, struct: type[OutboxAct]) -> EventType:
    # One key for all acts: they have an order, and one that is taken away leaves a gap.
    return EventType(
        name=name,
        struct=struct,
        stream="operator",
        subject=lambda _event, _pseudonyms: "outbox",
        account=lambda _event: None,
    )


def _of_life(name: str, struct: type[LifeEvent]) -> EventType:
    # The digest is keyed already. What has none is nobody's, and has one place for all of it.
    return EventType(
        name=name,
        struct=struct,
        stream="life",
        subject=lambda event, _pseudonyms: event.identifier_digest or "unreadable",
        account=lambda event: None if event.account_id is None else str(event.account_id),
    )


def _of_verification(name: str, struct: type[Event]) -> EventType:
    # In one order with the question and the answer, which have topics.
    return EventType(
        name=name, struct=struct, stream="verification", subject=_of_account, account=_account
    )


EVENT_TYPES: Sequence[EventType] = (
    _inside("identity.account.registered", AccountRegistered),
    _inside("identity.account.verified", AccountVerified),
    _inside("identity.account.verification_failed", AccountVerificationFailed),
    _inside("identity.account.blocked", AccountBlocked),
    _inside("identity.account.restored", AccountRestored),
    _inside("identity.account.claim_expired", AccountClaimExpired),
    _inside("identity.account.closed", AccountClosed),
    _inside("identity.account.identifier_released", AccountIdentifierReleased),
    _inside("identity.credential.changed", CredentialChanged),
    _inside("identity.credential.corrupt", CredentialCorrupt),
    EventType(
        name="identity.credential.reset_requested",
        struct=CredentialResetRequested,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.request_id),
        account=lambda event: None if event.account_id is None else str(event.account_id),
    ),
    _inside("identity.email.confirmed", EmailConfirmed),
    _inside("identity.email.change_requested", EmailChangeRequested),
    _inside("identity.email.changed", EmailChanged),
    EventType(
        name="identity.letter.written",
        struct=LetterWritten,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.letter_id),
        account=lambda _event: None,
    ),
    _inside("identity.session.created", SessionCreated),
    _inside("identity.session.revoked", SessionRevoked),
    _inside("identity.session.expired", SessionExpired),
    _inside("identity.refresh.reuse", RefreshReused),
    EventType(
        name="identity.keys.rotated",
        struct=KeyRotated,
        stream="keys",
        subject=lambda _event, _pseudonyms: "signing",
        account=lambda _event: None,
    ),
    _at_the_door("identity.login.succeeded", LoginSucceeded),
    _at_the_door("identity.login.failed", LoginFailed),
    _at_the_door("identity.login.refused_blocked", LoginRefusedBlocked),
    _at_the_door("identity.login.locked", LoginLocked),
    _at_the_door("identity.login.lock_expired", LoginLockExpired),
    EventType(
        name="identity.registration.duplicate",
        struct=RegistrationDuplicated,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    _of_life("identity.life_event.received", LifeEventReceived),
    _of_life("identity.life_event.applied", LifeEventApplied),
    _of_life("identity.life_event.ignored_stale", LifeEventIgnoredStale),
    _of_life("identity.life_event.parked", LifeEventParked),
    _of_life("identity.life_event.illegal", LifeEventIllegal),
    _of_life("identity.review.opened", ReviewOpened),
    _outside(
        "identity.verification.requested",
        VerificationRequested,
        Topic.VERIFICATION_REQUEST,
        "verification",
    ),
    _of_verification("identity.verification.refused", VerificationRefused),
    _of_verification("identity.verification.attempts_forgiven", VerificationAttemptsForgiven),
    _of_verification("nhs.verification.evidence_gathered", NhsEvidenceGathered),
    _of_verification("hmrc.verification.evidence_gathered", HmrcEvidenceGathered),
    _outside(
        "nhs.verification.completed",
        NhsVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _outside(
        "hmrc.verification.completed",
        HmrcVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _inside("hmrc.consent.granted", TaxConsentGranted),
    _inside("hmrc.consent.withdrawn", TaxConsentWithdrawn),
    _inside("hmrc.consent.lapsed", TaxConsentLapsed),
    EventType(
        name="hmrc.death.notified",
        struct=DeathNotified,
        topic=Topic.DEATH_NOTIFICATION,
        stream="death",
        subject=_of_identifier,
        account=_user,
    ),
    _outside(
        "nhs.appointment.requested", AppointmentRequested, Topic.APPOINTMENT_REQUEST, "appointment"
    ),
    EventType(
        name="nhs.appointment.slot_held",
        struct=AppointmentSlotHeld,
        stream="appointment",
        subject=_of_user,
        account=_user,
    ),
    _outside(
        "nhs.appointment.decided", AppointmentDecided, Topic.APPOINTMENT_RESULT, "appointment"
    ),
    EventType(
        name="gateway.access.decided",
        struct=AccessDecided,
        topic=Topic.ACCESS,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    _by_an_operator("bus.outbox.replayed", OutboxReplayed),
    _by_an_operator("bus.outbox.retried", OutboxRetried),
    _by_an_operator("bus.outbox.unparked", OutboxUnparked),
    _by_an_operator("bus.outbox.discarded", OutboxDiscarded),
    _by_an_operator("bus.outbox.backfilled", OutboxBackfilled),
)


class UnknownEventType(LookupError):
    """No event type has this name and version; a later release may know it."""


class Catalogue:
    """Finds event types: by struct when emitting, by name and version when reading."""

    def __init__(self, types: Sequence[EventType] = EVENT_TYPES) -> None:
        """Index *types*; two of one name and version, or of one struct, are a mistake."""
        self.types = tuple(types)
        self._by_struct: Mapping[type[Event], EventType] = {t.struct: t for t in self.types}
        self._by_name = {(t.name, t.version): t for t in self.types}
        self._decoders = {t.struct: msgspec.json.Decoder(t.struct) for t in self.types}
        if not len(self._by_struct) == len(self._by_name) == len(self.types):
            raise ValueError("an event type stands twice in the catalogue")

    def of(self, event: Event) -> EventType:
        """Return the type of *event*."""
        return self._by_struct[type(event)]

    def named(self, name: str, version: int) -> EventType:
        """Return the type called *name* in *version*.

        Raises:
            UnknownEventType: this release does not know it.
        """
        try:
            return self._by_name[name, version]
        except KeyError as error:
            raise UnknownEventType(f"{name} version {version}") from error

    def decode(self, kind: EventType, payload: bytes | str) -> Event:
        """Read *payload* as an event of *kind*.

        Raises:
            msgspec.DecodeError: it is not JSON, or not of the type's shape.
        """
        event: Event = self._decoders[kind.struct].decode(payload)
        return event


def result_struct(identifier_type: IdentifierType) -> type[Event]:
    """Return the struct of an answer from the department that owns *identifier_type*."""
    return {
        IdentifierType.NHS: NhsVerificationCompleted,
        IdentifierType.NIN: HmrcVerificationCompleted,
    }[identifier_type]
