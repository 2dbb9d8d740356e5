"""The table that says which event becomes which entry of the audit log, and which does not.

Every event type has a row in `AUDIT_RULES` or a reason in `NOT_AUDITED`; a test compares both with
the registry of events. A rule names members of the event struct: those that stay readable in the
entry, and those that are personal. A personal member is stored apart, in `audit.restricted`, and
the entry has its keyed digest.

The size of the log is public. Two requests that must look alike therefore write equally many
entries: a review that the account holder must not learn of has none (`CONCEALED_REVIEWS`).
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from govid.bus import events
from govid.bus.events import Event
from govid.bus.settings import AuditSettings


class RestrictedKind(StrEnum):
    """How long a personal value is kept; each value is permanent, because it is stored."""

    LOGIN = "login"
    """Of login attempts: for days (`GOVID_AUDIT_LOGIN_DAYS`)."""
    REQUEST = "request"
    """Address and correlation id of other requests (`GOVID_AUDIT_REQUEST_DAYS`)."""
    STAFF = "staff"
    """The operator and the stated reason: as long as the entry."""
    EVIDENCE = "evidence"
    """Of an identity check or a notice: as long as the entry."""


YEAR_DAYS = 365.25
ENTRY = "entry"
"""The kind of an entry itself, beside those of its personal values."""


def retention_days(settings: AuditSettings) -> Mapping[str, int]:
    """Return for how many days each kind of personal values, and an entry, is kept."""
    entry_days = round(settings.entry_years * YEAR_DAYS)
    return {
        RestrictedKind.LOGIN.value: settings.login_days,
        RestrictedKind.REQUEST.value: settings.request_days,
        RestrictedKind.STAFF.value: entry_days,
        RestrictedKind.EVIDENCE.value: entry_days,
        ENTRY: entry_days,
    }


Member = str | tuple[str, Callable[[Any], Any]]
"""The name of a member of the event, or a name and how its value is computed."""

CONCEALED_REVIEWS = frozenset({"notice_before_registration", "deceased", "restricted"})
"""The reasons of reviews that the account holder must not learn of.

The entries of the registration and of the evidence have the reason, as a digest.
"""


class AuditRule(msgspec.Struct, frozen=True, kw_only=True):
    """How an event becomes an entry.

    `name` is the event of the entry. `subject` is the member with the account that the entry is
    about, `resource` a member with the id of something else. `outcome` is a constant, or the
    function that computes it. `reason` is a member with a permanent code.
    """

    name: str
    subject: str | None = "account_id"
    resource: str | None = None
    outcome: str | Callable[[Any], str] = "success"
    reason: str | None = None
    extensions: Sequence[Member] = ()
    restricted: Mapping[RestrictedKind, Sequence[Member]] = {}
    request_kind: RestrictedKind = RestrictedKind.REQUEST
    """The kind of the client's address and of the correlation id."""
    is_concealed: Callable[[Any], bool] | None = None
    """Tells whether an event has no entry of its own."""


OPERATOR = {RestrictedKind.STAFF: ("operator", "stated_reason")}
TRIED_NAME = {RestrictedKind.LOGIN: (("tried_name", lambda event: event.subject),)}
EVIDENCE = RestrictedKind.EVIDENCE
NOTICE_MEMBERS = ("identifier_digest", "occurred_at")


def _simple(name: str, *extensions: Member, **members: Any) -> AuditRule:
    return AuditRule(name=name, extensions=extensions, **members)


def _login(name: str, outcome: str, *extensions: Member, reason: str | None = None) -> AuditRule:
    return AuditRule(
        name=name,
        outcome=outcome,
        reason=reason,
        extensions=extensions,
        restricted=TRIED_NAME,
        request_kind=RestrictedKind.LOGIN,
    )


def _life_event(name: str, *extensions: Member, **members: Any) -> AuditRule:
    return AuditRule(
        name=name,
        resource="notice_id",
        extensions=("identifier_type", *extensions),
        restricted={EVIDENCE: NOTICE_MEMBERS},
        **members,
    )


def _outbox_act(name: str) -> AuditRule:
    return AuditRule(
        name=name,
        subject=None,
        resource="act_id",
        extensions=(
            ("deliveries", lambda event: sum(map(len, event.deliveries.values()))),
            ("subscribers", lambda event: sorted(event.deliveries)),
        ),
        restricted={
            RestrictedKind.STAFF: (
                "operator",
                "stated_reason",
                ("selection", lambda event: msgspec.json.encode(event.selection).decode()),
            )
        },
    )


def _topic_act(name: str, *extensions: Member) -> AuditRule:
    return AuditRule(
        name=name,
        subject=None,
        resource="act_id",
        extensions=extensions,
        restricted=OPERATOR,
    )


def _evidence(name: str) -> AuditRule:
    return AuditRule(
        name=name,
        resource="request_id",
        extensions=("identifier_type", "method"),
        restricted={
            EVIDENCE: (
                "outcome",
                "transaction",
                ("scores", lambda event: f"{event.strength}/{event.validity}"),
                ("contra_indicators", lambda event: ",".join(event.contra_indicators)),
            )
        },
    )


def _completed(name: str) -> AuditRule:
    return AuditRule(
        name=name,
        subject="user_id",
        outcome=lambda event: "success" if event.is_verified else "failure",
        extensions=("identifier_type",),
        restricted={EVIDENCE: ("error",)},
    )


VIEWS: Mapping[events.DataView, tuple[str, Sequence[str]]] = {
    "accounts show": (
        "account_administration",
        ("account", "identifiers", "sessions", "life_events", "reviews"),
    ),
    "events tail --raw": ("operation", ("events",)),
    "audit search": ("audit", ("audit_entries",)),
    "audit export": ("audit", ("audit_entries",)),
}
"""The purpose of each command that shows data of people, and the fields that it shows."""

DATA_READ = "data.read"

AUDIT_RULES: Mapping[type[Event], AuditRule] = {
    events.AccountRegistered: _simple(
        "account.registered", "identifier_type", restricted={EVIDENCE: ("has_prior_notice",)}
    ),
    events.AccountVerified: _simple("account.verified"),
    events.AccountVerificationFailed: _simple(
        "account.verification_failed", outcome="failure", restricted={EVIDENCE: ("reason",)}
    ),
    events.AccountBlocked: _simple("account.blocked", reason="reason", restricted=OPERATOR),
    events.AccountRestored: _simple("account.restored", reason="reason", restricted=OPERATOR),
    events.AccountClaimExpired: _simple("account.claim_expired", "identifier_type"),
    events.AccountClosed: _simple("account.closed"),
    events.AccountIdentifierReleased: _simple(
        "account.identifier_released", "identifier_type", restricted=OPERATOR
    ),
    events.CredentialChanged: _simple("credential.changed", "how"),
    events.CredentialCorrupt: _simple("credential.corrupt", outcome="failure"),
    events.CredentialResetRequested: _simple("credential.reset_requested", resource="request_id"),
    events.EmailConfirmed: _simple("email.confirmed"),
    events.EmailChangeRequested: _simple("email.change_requested"),
    events.EmailChanged: _simple("email.changed"),
    events.SessionCreated: _simple(
        "session.created",
        "client_id",
        "acr",
        resource="session_id",
        request_kind=RestrictedKind.LOGIN,
    ),
    events.SessionRevoked: _simple("session.revoked", "session_ids", reason="reason"),
    events.SessionExpired: _simple("session.expired", resource="session_id"),
    events.RefreshReused: _simple(
        "refresh.reuse", "client_id", resource="session_id", outcome="failure"
    ),
    events.KeyRotated: _simple(
        "keys.rotated", "step", ("kid", lambda event: event.kid), subject=None, restricted=OPERATOR
    ),
    events.LoginSucceeded: _login("login.succeeded", "success"),
    events.LoginFailed: _login("login.failed", "failure", reason="reason"),
    events.LoginRefusedBlocked: _login("login.refused_blocked", "denied"),
    events.LoginLocked: _login("login.locked", "denied", "flow"),
    events.LoginLockExpired: _login("login.lock_expired", "success", "flow"),
    events.RegistrationDuplicated: AuditRule(
        name="registration.duplicate",
        subject=None,
        outcome="denied",
        reason="taken",
        restricted=TRIED_NAME,
        request_kind=RestrictedKind.LOGIN,
    ),
    events.LifeEventReceived: _life_event("life_event.received"),
    events.LifeEventApplied: _life_event("life_event.applied", "changed"),
    events.LifeEventIgnoredStale: _life_event("life_event.ignored_stale", outcome="ignored"),
    events.LifeEventParked: _life_event("life_event.parked", reason="reason"),
    events.LifeEventIllegal: _life_event("life_event.illegal", reason="reason", outcome="failure"),
    events.ReviewOpened: _life_event(
        "review.opened",
        ("review_id", lambda event: str(event.review_id)),
        reason="reason",
        is_concealed=lambda event: event.reason in CONCEALED_REVIEWS,
    ),
    events.VerificationRequested: _simple(
        "verification.requested", "identifier_type", subject="user_id"
    ),
    events.VerificationRefused: _simple(
        "verification.refused", "identifier_type", outcome="denied"
    ),
    events.VerificationAttemptsForgiven: _simple(
        "verification.attempts_forgiven", "attempts", restricted=OPERATOR
    ),
    events.NhsEvidenceGathered: _evidence("verification.response_received"),
    events.HmrcEvidenceGathered: _evidence("verification.response_received"),
    events.NhsVerificationCompleted: _completed("verification.completed"),
    events.HmrcVerificationCompleted: _completed("verification.completed"),
    events.TaxConsentGranted: _simple("consent.granted"),
    events.TaxConsentWithdrawn: _simple("consent.withdrawn"),
    events.TaxConsentLapsed: _simple("consent.lapsed"),
    events.PatientRecordRefused: _simple("policy.denied", outcome="denied"),
    events.DataViewed: AuditRule(
        name=DATA_READ,
        resource="act_id",
        extensions=(
            ("role", lambda _event: "operator"),
            ("purpose", lambda event: VIEWS[event.view][0]),
            ("fields", lambda event: VIEWS[event.view][1]),
        ),
        restricted=OPERATOR,
    ),
    events.DataRead: AuditRule(
        name=DATA_READ,
        extensions=("role", "purpose", "fields"),
        restricted={RestrictedKind.STAFF: (("reader", lambda event: str(event.reader_id)),)},
    ),
    events.OutboxReplayed: _outbox_act("outbox.replayed"),
    events.OutboxRetried: _outbox_act("outbox.retried"),
    events.OutboxUnparked: _outbox_act("outbox.unparked"),
    events.OutboxDiscarded: _outbox_act("dlq.discarded"),
    events.OutboxBackfilled: _outbox_act("outbox.backfilled"),
    events.TopicPartitionsAccepted: _topic_act(
        "topic.partitions_accepted", "topic", "partitions_before", "partitions"
    ),
    events.TopicGapAccepted: _topic_act(
        "topic.gap_accepted", "topic", "partition", "first_offset", "next_offset"
    ),
    events.TopicKafkaAheadAccepted: _topic_act(
        "topic.kafka_ahead_accepted", ("topics", lambda event: len(event.ends))
    ),
    events.TopicRecordsSkipped: _topic_act(
        "topic.records_skipped", "topic", "partition", "first_offset", "next_offset"
    ),
}
"""How each event becomes an entry, by its struct."""

NOT_AUDITED: Mapping[type[Event], str] = {
    events.LetterWritten: "the event that caused the email has an entry",
    events.DeathNotified: "the life event that follows has an entry; other systems may publish it",
    events.AppointmentRequested: "an account holder's own use of a service",
    events.AppointmentSlotHeld: "an account holder's own use of a service",
    events.AppointmentDecided: "the answer to an account holder's own request",
    events.AccessDecided: "a record of the access log topic for each request",
    events.AuditCheckpointSealed: "it reports the log itself",
}
"""The events without an entry, and why."""
