"""Builds the entries of the audit log from events, in the transaction that stores the events.

An entry is JSON text whose members have a fixed order. These exact bytes are stored, authenticated
with a key that the database does not have, and hashed into the tree. Personal values are stored
apart, so that they can be removed while the entry stays: the entry has their keyed digests.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.rules import AUDIT_RULES, DATA_READ, AuditRule, Member, RestrictedKind
from govid.bus.events.envelope import EventEnvelope
from govid.bus.settings import AuditSettings
from govid.bus.shared.context import Actor
from govid.bus.shared.privacy import RedactedStruct

MAX_TEXT_LENGTH = 240
"""How long a text in an entry may be. An access proof must fit into 2 kB."""
UNLISTED = "unlisted"
"""Replaces a reason that is no code: another system may have sent a text."""
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class EntryActor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The actor of an entry. Operators and external producers have no readable id."""

    kind: str
    id: str | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry, in the order of its members in JSON.

    `at` is UTC with milliseconds. `subject` is the id of the account that the entry is about;
    `reason` is a permanent code. `restricted` holds the digests of the personal values. The members
    of delegation and policies have a place in the order, and are empty until there are policies.
    """

    id: UUID
    event: str
    at: datetime
    actor: EntryActor
    on_behalf_of: str | None = None
    subject: str | None = None
    resource: str | None = None
    outcome: str
    reason: str | None = None
    decision_id: str | None = None
    policy_ids: Sequence[str] | None = None
    extensions: Mapping[str, Any] | None = None
    restricted: Mapping[str, str] | None = None


class RestrictedRow(RedactedStruct, frozen=True, kw_only=True):
    """The personal values of one entry that are kept equally long, as JSON text."""

    kind: RestrictedKind
    content: str


class SignedEntry(RedactedStruct, frozen=True, kw_only=True):
    """An entry as it is stored: its exact bytes, their authentication code, and its columns."""

    id: UUID
    at: datetime
    event: str
    subject: UUID | None
    content: bytes
    mac: bytes
    restricted: Sequence[RestrictedRow]


class EntryFactory:
    """Builds the entries of one installation."""

    def __init__(self, keys: AuditKeys, organisation: str) -> None:
        """Sign entries with *keys*; *organisation* is that of every reader of data."""
        self._keys = keys
        self._organisation = organisation
        self._encoder = msgspec.json.Encoder()

    @classmethod
    def from_settings(cls, settings: AuditSettings) -> "EntryFactory":
        """Build entries as *settings* say."""
        return cls(AuditKeys.from_settings(settings), settings.organisation)

    def build_all(self, envelopes: Sequence[EventEnvelope]) -> Iterator[SignedEntry]:
        """Yield the entries of *envelopes*; an event without a rule has none."""
        for envelope in envelopes:
            rule = AUDIT_RULES.get(type(envelope.event))
            if rule is None or (rule.is_concealed and rule.is_concealed(envelope.event)):
                continue
            yield self.build(envelope, rule)

    def build(self, envelope: EventEnvelope, rule: AuditRule) -> SignedEntry:
        """Build the entry of *envelope* by *rule*. It has the id of the event."""
        event, actor = envelope.event, envelope.headers.actor
        at = envelope.occurred_at.astimezone(UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        subject = getattr(event, rule.subject) if rule.subject else None
        restricted = self._collect_restricted(envelope, rule)
        entry = AuditEntry(
            id=envelope.id,
            event=rule.name,
            at=at,
            actor=EntryActor(kind=actor.kind, id=_readable_actor_id(actor, rule)),
            subject=None if subject is None else str(subject),
            resource=_text_or_none(getattr(event, rule.resource) if rule.resource else None),
            outcome=rule.outcome if isinstance(rule.outcome, str) else rule.outcome(event),
            reason=_read_code(event, rule.reason),
            extensions=self._collect_extensions(event, rule),
            restricted={
                name: self._keys.digest(name, value)
                for values in restricted.values()
                for name, value in values.items()
            }
            or None,
        )
        content = self._encoder.encode(entry)
        return SignedEntry(
            id=envelope.id,
            at=at,
            event=rule.name,
            subject=subject,
            content=content,
            mac=self._keys.sign_entry(content),
            restricted=[
                RestrictedRow(kind=kind, content=self._encoder.encode(values).decode())
                for kind, values in restricted.items()
                if values
            ],
        )

    def _collect_extensions(self, event: Any, rule: AuditRule) -> Mapping[str, Any] | None:
        extensions = {
            name: _cut_text(value)
            for name, value in (_read_member(event, one) for one in rule.extensions)
            if value is not None
        }
        if rule.name == DATA_READ:
            extensions["organisation"] = self._organisation
        return extensions or None

    def _collect_restricted(
        self, envelope: EventEnvelope, rule: AuditRule
    ) -> dict[RestrictedKind, dict[str, str]]:
        """Return the personal values of an entry by kind, without those that are missing."""
        event, actor = envelope.event, envelope.headers.actor
        values: dict[RestrictedKind, dict[str, Any]] = {
            rule.request_kind: {
                # The client chooses the correlation id, so it may hold anything.
                "correlation_id": envelope.headers.correlation_id,
                "address": envelope.client_address,
            }
        }
        for kind, members in rule.restricted.items():
            values.setdefault(kind, {}).update(_read_member(event, one) for one in members)
        if actor.kind == "operator":
            staff = values.setdefault(RestrictedKind.STAFF, {})
            staff["operator"] = staff.get("operator") or actor.id
        return {
            kind: {
                name: _format_value(value)
                for name, value in members.items()
                if value is not None and value != ""
            }
            for kind, members in values.items()
        }


def _readable_actor_id(actor: Actor, rule: AuditRule) -> str | None:
    """Return the id of *actor* if it may stay in the entry.

    The person whose data was read gets the entry, and learns the role of the reader only.
    """
    if actor.kind == "account":
        return None if rule.name == DATA_READ else actor.id
    return actor.id if actor.kind == "module" else None


def _read_member(event: Any, member: Member) -> tuple[str, Any]:
    if isinstance(member, str):
        return member, getattr(event, member)
    name, compute = member
    return name, compute(event)


def _read_code(event: Any, member: str | None) -> str | None:
    code = getattr(event, member) if member else None
    if code is None or code == "":
        return None
    return str(code) if _CODE.fullmatch(str(code)) else UNLISTED


def _cut_text(value: Any) -> Any:
    return value[:MAX_TEXT_LENGTH] if isinstance(value, str) else value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)[:MAX_TEXT_LENGTH]


def _format_value(value: Any) -> str:
    """Return *value* as the text whose digest is in the entry."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
