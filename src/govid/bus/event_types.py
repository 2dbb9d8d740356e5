"""The table of event types: the name, struct, topic and ordering key of each.

One table drives the decoders, the relay, the inbox and the documents. The name of a type never
changes (I10), and does not depend on the name of its class.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from govid.bus import contracts
from govid.bus.contracts import DeathNotified, Event, LifeEvent, OutboxAct, Topic, TopicAct
from govid.bus.pseudonyms import PseudonymGenerator
from govid.bus.shared.identifiers import parse_identity_key


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One type of event.

    `stream` and `subject` form the key that orders it (`verification/6f1c...`); without a stream
    it has no order. `account` returns the account's id, which is the key of its Kafka record.
    """

    name: str
    version: int = 1
    struct: type[Event]
    topic: Topic | None = None
    stream: str | None = None
    subject: Callable[[Any, PseudonymGenerator], str | None]
    account: Callable[[Any], str | None]

    def order_key(self, event: Event, pseudonyms: PseudonymGenerator) -> str | None:
        """Return the key that orders *event*, or None if it has no order."""
        return None if self.stream is None else f"{self.stream}/{self.subject(event, pseudonyms)}"


def _user(event: Any) -> str | None:
    return None if event.user_id is None else str(event.user_id)


def _user_subject(event: Any, _: PseudonymGenerator) -> str | None:
    return _user(event)


def _account(event: Any) -> str | None:
    return str(event.account_id)


def _account_subject(event: Any, _: PseudonymGenerator) -> str | None:
    return _account(event)


def _identifier_subject(event: DeathNotified, pseudonyms: PseudonymGenerator) -> str | None:
    # Operators and brokers see the key, so it must not contain the identifier itself (I9). Two
    # spellings of one number, and two suffix letters, have one key, so that their order is kept.
    kind, text = event.identifier_type, event.identifier_value
    with contextlib.suppress(ValueError):
        text = parse_identity_key(kind, text, prototype_form=True)
    return pseudonyms.for_value(f"{kind}:{text}")


def _internal_event(name: str, struct: type[Event]) -> EventType:
    return EventType(
        name=name, struct=struct, stream="account", subject=_account_subject, account=_account
    )


def _login_event(name: str, struct: type[Event]) -> EventType:
    # No order: the sequence of a key is stored permanently, and a client may try any name.
    return EventType(
        name=name,
        struct=struct,
        subject=lambda _event, _pseudonyms: None,
        account=lambda event: None if event.account_id is None else str(event.account_id),
    )


def _account_event(name: str, struct: type[Event], topic: Topic | None, stream: str) -> EventType:
    return EventType(
        name=name, struct=struct, topic=topic, stream=stream, subject=_user_subject, account=_user
    )


def _operator_event(name: str, struct: type[OutboxAct | TopicAct]) -> EventType:
    # One key for all operator actions: they have an order, and a deleted one leaves a gap.
    subject = "outbox" if issubclass(struct, OutboxAct) else "topics"
    return EventType(
        name=name,
        struct=struct,
        stream="operator",
        subject=lambda _event, _pseudonyms: subject,
        account=lambda _event: None,
    )


def _life_event(name: str, struct: type[LifeEvent]) -> EventType:
    # The digest is keyed already. All notices without a digest share one key.
    return EventType(
        name=name,
        struct=struct,
        stream="life",
        subject=lambda event, _pseudonyms: event.identifier_digest or "unreadable",
        account=lambda event: None if event.account_id is None else str(event.account_id),
    )


def _verification_event(name: str, struct: type[Event]) -> EventType:
    # In one order with the verification request and its result, which have topics.
    return EventType(
        name=name, struct=struct, stream="verification", subject=_account_subject, account=_account
    )


EVENT_TYPES: Sequence[EventType] = (
    _internal_event("identity.account.registered", contracts.AccountRegistered),
    _internal_event("identity.account.verified", contracts.AccountVerified),
    _internal_event("identity.account.verification_failed", contracts.AccountVerificationFailed),
    _internal_event("identity.account.blocked", contracts.AccountBlocked),
    _internal_event("identity.account.restored", contracts.AccountRestored),
    _internal_event("identity.account.claim_expired", contracts.AccountClaimExpired),
    _internal_event("identity.account.closed", contracts.AccountClosed),
    _internal_event("identity.account.identifier_released", contracts.AccountIdentifierReleased),
    _internal_event("identity.credential.changed", contracts.CredentialChanged),
    _internal_event("identity.credential.corrupt", contracts.CredentialCorrupt),
    EventType(
        name="identity.credential.reset_requested",
        struct=contracts.CredentialResetRequested,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.request_id),
        account=lambda event: None if event.account_id is None else str(event.account_id),
    ),
    _internal_event("identity.email.confirmed", contracts.EmailConfirmed),
    _internal_event("identity.email.change_requested", contracts.EmailChangeRequested),
    _internal_event("identity.email.changed", contracts.EmailChanged),
    EventType(
        name="identity.letter.written",
        struct=contracts.LetterWritten,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.letter_id),
        account=lambda _event: None,
    ),
    _internal_event("identity.session.created", contracts.SessionCreated),
    _internal_event("identity.session.revoked", contracts.SessionRevoked),
    _internal_event("identity.session.expired", contracts.SessionExpired),
    _internal_event("identity.refresh.reuse", contracts.RefreshReused),
    EventType(
        name="identity.keys.rotated",
        struct=contracts.KeyRotated,
        stream="keys",
        subject=lambda _event, _pseudonyms: "signing",
        account=lambda _event: None,
    ),
    _login_event("identity.login.succeeded", contracts.LoginSucceeded),
    _login_event("identity.login.failed", contracts.LoginFailed),
    _login_event("identity.login.refused_blocked", contracts.LoginRefusedBlocked),
    _login_event("identity.login.locked", contracts.LoginLocked),
    _login_event("identity.login.lock_expired", contracts.LoginLockExpired),
    EventType(
        name="identity.registration.duplicate",
        struct=contracts.RegistrationDuplicated,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    _life_event("identity.life_event.received", contracts.LifeEventReceived),
    _life_event("identity.life_event.applied", contracts.LifeEventApplied),
    _life_event("identity.life_event.ignored_stale", contracts.LifeEventIgnoredStale),
    _life_event("identity.life_event.parked", contracts.LifeEventParked),
    _life_event("identity.life_event.illegal", contracts.LifeEventIllegal),
    _life_event("identity.review.opened", contracts.ReviewOpened),
    _account_event(
        "identity.verification.requested",
        contracts.VerificationRequested,
        Topic.VERIFICATION_REQUEST,
        "verification",
    ),
    _verification_event("identity.verification.refused", contracts.VerificationRefused),
    _verification_event(
        "identity.verification.attempts_forgiven", contracts.VerificationAttemptsForgiven
    ),
    _verification_event("nhs.verification.evidence_gathered", contracts.NhsEvidenceGathered),
    _verification_event("hmrc.verification.evidence_gathered", contracts.HmrcEvidenceGathered),
    _account_event(
        "nhs.verification.completed",
        contracts.NhsVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _account_event(
        "hmrc.verification.completed",
        contracts.HmrcVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _internal_event("hmrc.consent.granted", contracts.TaxConsentGranted),
    _internal_event("hmrc.consent.withdrawn", contracts.TaxConsentWithdrawn),
    _internal_event("hmrc.consent.lapsed", contracts.TaxConsentLapsed),
    EventType(
        name="hmrc.death.notified",
        struct=DeathNotified,
        topic=Topic.DEATH_NOTIFICATION,
        stream="death",
        subject=_identifier_subject,
        account=_user,
    ),
    _internal_event("nhs.patient.refused", contracts.PatientRecordRefused),
    _account_event(
        "nhs.appointment.requested",
        contracts.AppointmentRequested,
        Topic.APPOINTMENT_REQUEST,
        "appointment",
    ),
    _account_event("nhs.appointment.slot_held", contracts.AppointmentSlotHeld, None, "appointment"),
    _account_event(
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
    _operator_event("bus.outbox.replayed", contracts.OutboxReplayed),
    _operator_event("bus.outbox.retried", contracts.OutboxRetried),
    _operator_event("bus.outbox.unparked", contracts.OutboxUnparked),
    _operator_event("bus.outbox.discarded", contracts.OutboxDiscarded),
    _operator_event("bus.outbox.backfilled", contracts.OutboxBackfilled),
    _operator_event("bus.topic.partitions_accepted", contracts.TopicPartitionsAccepted),
    _operator_event("bus.topic.gap_accepted", contracts.TopicGapAccepted),
    _operator_event("bus.topic.kafka_ahead_accepted", contracts.TopicKafkaAheadAccepted),
    _operator_event("bus.topic.records_skipped", contracts.TopicRecordsSkipped),
)
