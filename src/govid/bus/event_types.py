"""The table of event types: what each is called, where it goes and what orders it.

One table drives the registry of decoders, the relay, the inbox and the documents. A type's name
never changes (I10), and has nothing to do with the name of a class.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from govid.bus import contracts
from govid.bus.contracts import DeathNotified, Event, LifeEvent, OutboxAct, Topic, TopicAct
from govid.bus.pseudonyms import Pseudonyms
from govid.bus.shared.identifiers import read_identity_key


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
    # A key is seen by operators and brokers: the identifier itself may not stand in it (I9). Two
    # spellings of one number, and two last letters, are one key, so that their order is kept.
    kind, text = event.identifier_type, event.identifier_value
    with contextlib.suppress(ValueError):
        text = read_identity_key(kind, text, prototype_form=True)
    return pseudonyms.of(f"{kind}:{text}")


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


def _of_users(name: str, struct: type[Event], topic: Topic | None, stream: str) -> EventType:
    return EventType(
        name=name, struct=struct, topic=topic, stream=stream, subject=_of_user, account=_user
    )


def _by_an_operator(name: str, struct: type[OutboxAct | TopicAct]) -> EventType:
    # One key for all acts: they have an order, and one that is taken away leaves a gap.
    subject = "outbox" if issubclass(struct, OutboxAct) else "topics"
    return EventType(
        name=name,
        struct=struct,
        stream="operator",
        subject=lambda _event, _pseudonyms: subject,
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
    _inside("identity.account.registered", contracts.AccountRegistered),
    _inside("identity.account.verified", contracts.AccountVerified),
    _inside("identity.account.verification_failed", contracts.AccountVerificationFailed),
    _inside("identity.account.blocked", contracts.AccountBlocked),
    _inside("identity.account.restored", contracts.AccountRestored),
    _inside("identity.account.claim_expired", contracts.AccountClaimExpired),
    _inside("identity.account.closed", contracts.AccountClosed),
    _inside("identity.account.identifier_released", contracts.AccountIdentifierReleased),
    _inside("identity.credential.changed", contracts.CredentialChanged),
    _inside("identity.credential.corrupt", contracts.CredentialCorrupt),
    EventType(
        name="identity.credential.reset_requested",
        struct=contracts.CredentialResetRequested,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.request_id),
        account=lambda event: None if event.account_id is None else str(event.account_id),
    ),
    _inside("identity.email.confirmed", contracts.EmailConfirmed),
    _inside("identity.email.change_requested", contracts.EmailChangeRequested),
    _inside("identity.email.changed", contracts.EmailChanged),
    EventType(
        name="identity.letter.written",
        struct=contracts.LetterWritten,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.letter_id),
        account=lambda _event: None,
    ),
    _inside("identity.session.created", contracts.SessionCreated),
    _inside("identity.session.revoked", contracts.SessionRevoked),
    _inside("identity.session.expired", contracts.SessionExpired),
    _inside("identity.refresh.reuse", contracts.RefreshReused),
    EventType(
        name="identity.keys.rotated",
        struct=contracts.KeyRotated,
        stream="keys",
        subject=lambda _event, _pseudonyms: "signing",
        account=lambda _event: None,
    ),
    _at_the_door("identity.login.succeeded", contracts.LoginSucceeded),
    _at_the_door("identity.login.failed", contracts.LoginFailed),
    _at_the_door("identity.login.refused_blocked", contracts.LoginRefusedBlocked),
    _at_the_door("identity.login.locked", contracts.LoginLocked),
    _at_the_door("identity.login.lock_expired", contracts.LoginLockExpired),
    EventType(
        name="identity.registration.duplicate",
        struct=contracts.RegistrationDuplicated,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    _of_life("identity.life_event.received", contracts.LifeEventReceived),
    _of_life("identity.life_event.applied", contracts.LifeEventApplied),
    _of_life("identity.life_event.ignored_stale", contracts.LifeEventIgnoredStale),
    _of_life("identity.life_event.parked", contracts.LifeEventParked),
    _of_life("identity.life_event.illegal", contracts.LifeEventIllegal),
    _of_life("identity.review.opened", contracts.ReviewOpened),
    _of_users(
        "identity.verification.requested",
        contracts.VerificationRequested,
        Topic.VERIFICATION_REQUEST,
        "verification",
    ),
    _of_verification("identity.verification.refused", contracts.VerificationRefused),
    _of_verification(
        "identity.verification.attempts_forgiven", contracts.VerificationAttemptsForgiven
    ),
    _of_verification("nhs.verification.evidence_gathered", contracts.NhsEvidenceGathered),
    _of_verification("hmrc.verification.evidence_gathered", contracts.HmrcEvidenceGathered),
    _of_users(
        "nhs.verification.completed",
        contracts.NhsVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _of_users(
        "hmrc.verification.completed",
        contracts.HmrcVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _inside("hmrc.consent.granted", contracts.TaxConsentGranted),
    _inside("hmrc.consent.withdrawn", contracts.TaxConsentWithdrawn),
    _inside("hmrc.consent.lapsed", contracts.TaxConsentLapsed),
    EventType(
        name="hmrc.death.notified",
        struct=DeathNotified,
        topic=Topic.DEATH_NOTIFICATION,
        stream="death",
        subject=_of_identifier,
        account=_user,
    ),
    _inside("nhs.patient.refused", contracts.PatientRecordRefused),
    _of_users(
        "nhs.appointment.requested",
        contracts.AppointmentRequested,
        Topic.APPOINTMENT_REQUEST,
        "appointment",
    ),
    _of_users("nhs.appointment.slot_held", contracts.AppointmentSlotHeld, None, "appointment"),
    _of_users(
        "nhs.appointment.decided",
        contracts.AppointmentDecided,
        Topic.APPOINTMENT_RESULT,
        "appointment",
    ),
    EventType(
        name="gateway.access.decided",
        struct=contracts.AccessDecided,
        topic=Topic.ACCESS,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    EventType(
        name="operator.data.viewed",
        struct=contracts.DataViewed,
        stream="operator",
        subject=lambda _event, _pseudonyms: "data",
        account=lambda _event: None,
    ),
    _by_an_operator("bus.outbox.replayed", contracts.OutboxReplayed),
    _by_an_operator("bus.outbox.retried", contracts.OutboxRetried),
    _by_an_operator("bus.outbox.unparked", contracts.OutboxUnparked),
    _by_an_operator("bus.outbox.discarded", contracts.OutboxDiscarded),
    _by_an_operator("bus.outbox.backfilled", contracts.OutboxBackfilled),
    _by_an_operator("bus.topic.partitions_accepted", contracts.TopicPartitionsAccepted),
    _by_an_operator("bus.topic.gap_accepted", contracts.TopicGapAccepted),
    _by_an_operator("bus.topic.kafka_ahead_accepted", contracts.TopicKafkaAheadAccepted),
    _by_an_operator("bus.topic.records_skipped", contracts.TopicRecordsSkipped),
)
