"""The table of event types, and the registry that looks them up.

The table gives the name, struct, topic and ordering key of each event type. It drives the decoders,
the relay, the inbox and the documents. The name of a type never changes (I10), and does not depend
on the name of its class.

To add an event type:

1. Write its struct in `events/identity.py`, `departments.py` or `operator.py`: named in the past
   tense, with `Personal[...]` around each personal field.
2. Import it in `events/__init__.py` and add it to `__all__` there.
3. Add a row to `EVENT_TYPES`, by the function below that fits its order and its account.
4. If its counter would tell a client what a response conceals, add the prefix of its name to
   `UNCOUNTED_TYPE_PREFIXES` in `bus/metrics.py`.
5. Write `tests/contracts/<name>.v1.json` as `{"record": {"value": <example>}}`, and run
   `python -m tests.contracts.golden` and `python -m tests.contracts.public_surface`. For an event
   with a topic, also run `govid asyncapi --out docs/asyncapi.json`.
6. Emit it in the transaction of the state change: `tx.emit(...)`. To handle it, add the struct to
   `handles` of a `Subscriber` in `<module>/module.py` or `identity/account_services.py`.
7. A type that other systems publish also needs an entry in `INBOUND_STRUCTS`, one struct for each
   topic (`bus/kafka/inbound_records.py`), and its topic in `INBOUND_TOPICS`
   (`bus/kafka/topics.py`). A new topic is a member of `Topic` (`bus/shared/contract.py`). A topic
   that govid only reads is left out of `ORDERED_TOPICS` (`bus/kafka/topics.py`).

A change that breaks consumers is a new version: a second struct and row with the next `version`.

Log records that never enter the outbox have no row here: see `LOG_RECORD_TYPES`
(`bus/kafka/log_topics.py`).
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from govid.bus import events
from govid.bus.events import (
    DeathNotified,
    Event,
    HmrcVerificationCompleted,
    IdentifierType,
    LifeEvent,
    NhsVerificationCompleted,
    OutboxAct,
    Topic,
    TopicAct,
)
from govid.bus.shared.identifiers import parse_identity_key
from govid.bus.shared.privacy import PseudonymGenerator


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


def _user_id(event: Any) -> str | None:
    return None if event.user_id is None else str(event.user_id)


def _user_subject(event: Any, _: PseudonymGenerator) -> str | None:
    return _user_id(event)


def _account_id(event: Any) -> str | None:
    return str(event.account_id)


def _account_subject(event: Any, _: PseudonymGenerator) -> str | None:
    return _account_id(event)


def _identifier_subject(event: DeathNotified, pseudonyms: PseudonymGenerator) -> str | None:
    # Operators and brokers see the key, so it must not contain the identifier itself (I9). Two
    # spellings of one number, and two suffix letters, have one key, so that their order is kept.
    identifier_type, text = event.identifier_type, event.identifier_value
    with contextlib.suppress(ValueError):
        text = parse_identity_key(identifier_type, text, accept_prototype_nhs=True)
    return pseudonyms.for_value(f"{identifier_type}:{text}")


def _account_event(name: str, struct: type[Event]) -> EventType:
    # In one order with everything else that happens to the account. Other systems do not see it.
    return EventType(
        name=name, struct=struct, stream="account", subject=_account_subject, account=_account_id
    )


def _login_event(name: str, struct: type[Event]) -> EventType:
    # No order: the sequence of a key is stored permanently, and a client may try any name.
    return EventType(
        name=name,
        struct=struct,
        subject=lambda _event, _pseudonyms: None,
        account=lambda event: None if event.account_id is None else str(event.account_id),
    )


def _user_event(name: str, struct: type[Event], topic: Topic | None, stream: str) -> EventType:
    # The account is the member `user_id`: the topics have the prototype's contract.
    return EventType(
        name=name,
        struct=struct,
        topic=topic,
        stream=stream,
        subject=_user_subject,
        account=_user_id,
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
        name=name,
        struct=struct,
        stream="verification",
        subject=_account_subject,
        account=_account_id,
    )


EVENT_TYPES: Sequence[EventType] = (
    _account_event("identity.account.registered", events.AccountRegistered),
    _account_event("identity.account.verified", events.AccountVerified),
    _account_event("identity.account.verification_failed", events.AccountVerificationFailed),
    _account_event("identity.account.blocked", events.AccountBlocked),
    _account_event("identity.account.restored", events.AccountRestored),
    _account_event("identity.account.claim_expired", events.AccountClaimExpired),
    _account_event("identity.account.closed", events.AccountClosed),
    _account_event("identity.account.identifier_released", events.AccountIdentifierReleased),
    _account_event("identity.credential.changed", events.CredentialChanged),
    _account_event("identity.credential.corrupt", events.CredentialCorrupt),
    EventType(
        name="identity.credential.reset_requested",
        struct=events.CredentialResetRequested,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.request_id),
        account=lambda event: None if event.account_id is None else str(event.account_id),
    ),
    _account_event("identity.email.confirmed", events.EmailConfirmed),
    _account_event("identity.email.change_requested", events.EmailChangeRequested),
    _account_event("identity.email.changed", events.EmailChanged),
    EventType(
        name="identity.letter.written",
        struct=events.LetterWritten,
        stream="letter",
        subject=lambda event, _pseudonyms: str(event.letter_id),
        account=lambda _event: None,
    ),
    _account_event("identity.session.created", events.SessionCreated),
    _account_event("identity.session.revoked", events.SessionRevoked),
    _account_event("identity.session.expired", events.SessionExpired),
    _account_event("identity.refresh.reuse", events.RefreshReused),
    EventType(
        name="identity.keys.rotated",
        struct=events.KeyRotated,
        stream="keys",
        subject=lambda _event, _pseudonyms: "signing",
        account=lambda _event: None,
    ),
    _login_event("identity.login.succeeded", events.LoginSucceeded),
    _login_event("identity.login.failed", events.LoginFailed),
    _login_event("identity.login.refused_blocked", events.LoginRefusedBlocked),
    _login_event("identity.login.locked", events.LoginLocked),
    _login_event("identity.login.lock_expired", events.LoginLockExpired),
    EventType(
        name="identity.registration.duplicate",
        struct=events.RegistrationDuplicated,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    _life_event("identity.life_event.received", events.LifeEventReceived),
    _life_event("identity.life_event.applied", events.LifeEventApplied),
    _life_event("identity.life_event.ignored_stale", events.LifeEventIgnoredStale),
    _life_event("identity.life_event.parked", events.LifeEventParked),
    _life_event("identity.life_event.illegal", events.LifeEventIllegal),
    _life_event("identity.review.opened", events.ReviewOpened),
    _user_event(
        "identity.verification.requested",
        events.VerificationRequested,
        Topic.VERIFICATION_REQUEST,
        "verification",
    ),
    _verification_event("identity.verification.refused", events.VerificationRefused),
    _verification_event(
        "identity.verification.attempts_forgiven", events.VerificationAttemptsForgiven
    ),
    _verification_event("nhs.verification.evidence_gathered", events.NhsEvidenceGathered),
    _verification_event("hmrc.verification.evidence_gathered", events.HmrcEvidenceGathered),
    _user_event(
        "nhs.verification.completed",
        events.NhsVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _user_event(
        "hmrc.verification.completed",
        events.HmrcVerificationCompleted,
        Topic.VERIFICATION_RESULT,
        "verification",
    ),
    _account_event("hmrc.consent.granted", events.TaxConsentGranted),
    _account_event("hmrc.consent.withdrawn", events.TaxConsentWithdrawn),
    _account_event("hmrc.consent.lapsed", events.TaxConsentLapsed),
    EventType(
        name="hmrc.death.notified",
        struct=DeathNotified,
        topic=Topic.DEATH_NOTIFICATION,
        stream="death",
        subject=_identifier_subject,
        account=_user_id,
    ),
    _account_event("nhs.patient.refused", events.PatientRecordRefused),
    _user_event(
        "nhs.appointment.requested",
        events.AppointmentRequested,
        Topic.APPOINTMENT_REQUEST,
        "appointment",
    ),
    _user_event("nhs.appointment.slot_held", events.AppointmentSlotHeld, None, "appointment"),
    _user_event(
        "nhs.appointment.decided",
        events.AppointmentDecided,
        Topic.APPOINTMENT_RESULT,
        "appointment",
    ),
    EventType(
        name="gateway.access.decided",
        struct=events.AccessDecided,
        topic=Topic.ACCESS,
        subject=lambda _event, _pseudonyms: None,
        account=lambda _event: None,
    ),
    EventType(
        name="operator.data.viewed",
        struct=events.DataViewed,
        stream="operator",
        subject=lambda _event, _pseudonyms: "data",
        account=lambda _event: None,
    ),
    EventType(
        name="gateway.data.read",
        struct=events.DataRead,
        stream="read",
        subject=lambda event, _pseudonyms: str(event.reader_id),
        account=lambda event: str(event.account_id),
    ),
    EventType(
        name="audit.checkpoint.sealed",
        struct=events.AuditCheckpointSealed,
        topic=Topic.AUDIT_CHECKPOINT,
        stream="audit",
        subject=lambda _event, _pseudonyms: "checkpoint",
        account=lambda _event: None,
    ),
    _operator_event("bus.outbox.replayed", events.OutboxReplayed),
    _operator_event("bus.outbox.retried", events.OutboxRetried),
    _operator_event("bus.outbox.unparked", events.OutboxUnparked),
    _operator_event("bus.outbox.discarded", events.OutboxDiscarded),
    _operator_event("bus.outbox.backfilled", events.OutboxBackfilled),
    _operator_event("bus.topic.partitions_accepted", events.TopicPartitionsAccepted),
    _operator_event("bus.topic.gap_accepted", events.TopicGapAccepted),
    _operator_event("bus.topic.kafka_ahead_accepted", events.TopicKafkaAheadAccepted),
    _operator_event("bus.topic.records_skipped", events.TopicRecordsSkipped),
)


class UnknownEventType(LookupError):
    """This release has no event type with this name and version; a later one may have it."""


class EventRegistry:
    """The event types of this release."""

    def __init__(self, types: Sequence[EventType] = EVENT_TYPES) -> None:
        """Index *types*.

        Raises:
            ValueError: two types have the same name and version, or the same struct.
        """
        self.types = tuple(types)
        self._by_struct: Mapping[type[Event], EventType] = {t.struct: t for t in self.types}
        self._by_name = {(t.name, t.version): t for t in self.types}
        self._decoders = {t.struct: msgspec.json.Decoder(t.struct) for t in self.types}
        if not len(self._by_struct) == len(self._by_name) == len(self.types):
            raise ValueError("an event type is registered twice")

    def type_for_event(self, event: Event) -> EventType:
        """Return the type of *event*.

        Raises:
            KeyError: the struct of *event* is not registered.
        """
        return self._by_struct[type(event)]

    def get_type(self, name: str, version: int) -> EventType:
        """Return the type called *name* in *version*.

        Raises:
            UnknownEventType: this release has no such type.
        """
        try:
            return self._by_name[name, version]
        except KeyError as error:
            raise UnknownEventType(f"{name} version {version}") from error

    def decode(self, event_type: EventType, payload: bytes | str) -> Event:
        """Decode *payload* as an event of *event_type*.

        Raises:
            msgspec.DecodeError: it is not JSON, or does not match the type's struct.
        """
        event: Event = self._decoders[event_type.struct].decode(payload)
        return event


def verification_result_struct(identifier_type: IdentifierType) -> type[Event]:
    """Return the struct of the verification result of the department of *identifier_type*."""
    return {
        IdentifierType.NHS: NhsVerificationCompleted,
        IdentifierType.NIN: HmrcVerificationCompleted,
    }[identifier_type]
