"""The table of entries: every event has a row or a reason, and a row names what exists."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from govid.bus import events
from govid.bus.audit.rules import (
    AUDIT_RULES,
    CONCEALED_REVIEWS,
    NOT_AUDITED,
    VIEWS,
    AuditRule,
    Member,
)
from govid.bus.events import Event
from govid.bus.events.registry import EVENT_TYPES
from govid.bus.shared.privacy import personal_field_names
from govid.identity.life_events.death_notices import PRIOR_NOTICE_INDICATOR
from govid.identity.verification.results import DECEASED, RESTRICTED

RULES = sorted(AUDIT_RULES.items(), key=lambda row: row[0].__name__)
SECTION_9 = {
    *("account.registered", "account.verified", "account.verification_failed"),
    *("account.blocked", "account.restored", "registration.duplicate"),
    *("login.succeeded", "login.failed", "login.locked", "login.lock_expired"),
    *("login.refused_blocked", "credential.changed", "credential.corrupt"),
    *("credential.reset_requested", "session.created", "session.revoked", "session.expired"),
    *("refresh.reuse", "policy.denied", "verification.requested", "life_event.received"),
    *("life_event.applied", "life_event.ignored_stale", "life_event.parked", "life_event.illegal"),
    *("review.opened", "data.read", "outbox.replayed", "dlq.discarded", "keys.rotated"),
}
"""The names that the specification of the audit log demands, and whose mechanism exists."""


def _read_names(members: Any) -> list[str]:
    return [member for member in members if isinstance(member, str)]


def _named_members(rule: AuditRule) -> set[str]:
    restricted: list[Member] = [one for members in rule.restricted.values() for one in members]
    fixed = [name for name in (rule.subject, rule.resource, rule.reason) if name]
    return {*fixed, *_read_names(rule.extensions), *_read_names(restricted)}


def test_r22_every_event_has_an_entry_or_a_reason_why_not() -> None:
    known = {event_type.struct for event_type in EVENT_TYPES}
    assert AUDIT_RULES.keys() | NOT_AUDITED.keys() == known
    assert AUDIT_RULES.keys() & NOT_AUDITED.keys() == set()


def test_r22_the_names_of_the_specification_are_there() -> None:
    assert SECTION_9 - {rule.name for rule in AUDIT_RULES.values()} == set()


@pytest.mark.parametrize(("struct", "rule"), RULES, ids=lambda value: getattr(value, "name", ""))
def test_r22_a_rule_names_members_of_its_event(struct: type[Event], rule: AuditRule) -> None:
    assert _named_members(rule) - {field.name for field in msgspec.structs.fields(struct)} == set()


@pytest.mark.parametrize(("struct", "rule"), RULES, ids=lambda value: getattr(value, "name", ""))
def test_r22_no_personal_member_is_readable_in_an_entry(
    struct: type[Event], rule: AuditRule
) -> None:
    fields = {field.encode_name: field.name for field in msgspec.structs.fields(struct)}
    personal = {fields[name] for name in personal_field_names(struct)}
    readable = {rule.subject, rule.resource, rule.reason, *_read_names(rule.extensions)}
    assert personal & readable == set()
    assert {"operator", "stated_reason", "subject"} & set(_read_names(rule.extensions)) == set()


def test_reviews_that_are_concealed_from_their_account_have_the_reasons_of_identity() -> None:
    assert {PRIOR_NOTICE_INDICATOR, DECEASED, RESTRICTED} == CONCEALED_REVIEWS


def test_every_view_of_an_operator_has_a_purpose() -> None:
    views: Mapping[str, Any] = VIEWS
    assert set(views) == set(events.DataView.__args__)  # type: ignore[attr-defined]  # a Literal


def test_r22_the_documents_list_every_entry() -> None:
    text = (Path(__file__).parents[4] / "docs/security.md").read_text("utf-8")
    section = text.partition("## Audit log\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    listed = {name for row in rows for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", row)}
    assert listed == {rule.name for rule in AUDIT_RULES.values()}
