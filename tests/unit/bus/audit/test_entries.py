"""Entries: their exact bytes, and where personal values are."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import Actor, OperationContext, PseudonymGenerator
from govid.bus.audit.entries import SignedEntry
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.rules import RestrictedKind
from govid.bus.events import (
    AccountBlocked,
    AccountVerificationFailed,
    DataViewed,
    Event,
    IdentifierType,
    LetterWritten,
    LifeEventIllegal,
    LoginFailed,
    ReviewOpened,
    SessionRevoked,
)
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from tests.audit_entries import AUDIT, entry_factory

ACCOUNT = UUID("0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e")
ID = UUID("0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4f")
NOON = datetime(2026, 1, 5, 12, 0, 0, 123_456, tzinfo=UTC)
REQUEST = OperationContext(
    correlation_id="canary-correlation", client_address="192.0.2.71", actor=Actor(kind="anonymous")
)
OPERATOR = OperationContext(
    correlation_id="act", actor=Actor(kind="operator", id="canary.operator")
)


def build(event: Event, context: OperationContext = REQUEST) -> SignedEntry | None:
    envelope = EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32)).build(
        event, context, NOON
    )
    envelope = msgspec.structs.replace(envelope, id=ID)
    return next(entry_factory().build_all([envelope]), None)


def entry(event: Event, context: OperationContext = REQUEST) -> SignedEntry:
    built = build(event, context)
    assert built is not None
    return built


FAILED = LoginFailed(subject="tried", account_id=ACCOUNT, reason="wrong", timestamp=NOON)
BLOCKED = AccountBlocked(
    account_id=ACCOUNT,
    reason="operator",
    operator="canary.operator",
    stated_reason="canary case",
    timestamp=NOON,
)


def test_r22_an_entry_has_these_bytes() -> None:
    digests = AuditKeys.from_settings(AUDIT)
    assert entry(FAILED).content.decode() == (
        '{"id":"0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4f","event":"login.failed",'
        '"at":"2026-01-05T12:00:00.123000Z","actor":{"kind":"anonymous"},'
        '"subject":"0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e","outcome":"failure","reason":"wrong",'
        '"restricted":{"correlation_id":"' + digests.digest("correlation_id", "canary-correlation")
        + '","address":"' + digests.digest("address", "192.0.2.71")
        + '","tried_name":"' + digests.digest("tried_name", "tried") + '"}}'
    )  # fmt: skip


def test_r22_a_digest_is_keyed_and_of_its_member() -> None:
    keys = AuditKeys.from_settings(AUDIT)
    other = AuditKeys([b"another key for tests, 32 bytes long"], AUDIT.origin)
    assert len({keys.digest("a", "v"), keys.digest("b", "v"), other.digest("a", "v")}) == 3


def test_r22_personal_values_are_beside_the_entry() -> None:
    built = entry(BLOCKED, OPERATOR)
    assert b"canary" not in built.content
    assert {row.kind: msgspec.json.decode(row.content) for row in built.restricted} == {
        RestrictedKind.REQUEST: {"correlation_id": "act"},
        RestrictedKind.STAFF: {"operator": "canary.operator", "stated_reason": "canary case"},
    }


def test_r22_personal_values_of_logins_have_their_own_kind() -> None:
    assert [row.kind for row in entry(FAILED).restricted] == [RestrictedKind.LOGIN]


def test_r22_a_text_that_is_no_code_is_no_reason() -> None:
    illegal = LifeEventIllegal(
        notice_id=ID,
        identifier_type=IdentifierType.NIN,
        reason="Ada Lovelace\r\n\x1b[2J\u2028${jndi:ldap://x}",
        timestamp=NOON,
    )
    assert msgspec.json.decode(entry(illegal).content)["reason"] == "unlisted"


def test_r22_the_cause_of_a_failed_verification_is_not_readable() -> None:
    failed = AccountVerificationFailed(account_id=ACCOUNT, reason="not_verifiable", timestamp=NOON)
    assert b"not_verifiable" not in entry(failed).content


def test_r22_a_review_that_is_concealed_has_no_entry() -> None:
    members: dict[str, Any] = {
        "notice_id": ID,
        "review_id": ID,
        "identifier_type": IdentifierType.NIN,
        "timestamp": NOON,
    }
    assert build(ReviewOpened(reason="deceased", **members)) is None
    assert build(ReviewOpened(reason="another_account", **members)) is not None


def test_an_event_without_a_rule_has_no_entry() -> None:
    assert build(LetterWritten(letter_id=ID, kind="reset", timestamp=NOON)) is None


def test_r22_a_view_names_role_organisation_purpose_and_fields_but_no_person() -> None:
    viewed = DataViewed(
        act_id=ID,
        operator="canary.operator",
        stated_reason="canary case",
        view="accounts show",
        account_id=ACCOUNT,
        timestamp=NOON,
    )
    content = entry(viewed, OPERATOR).content
    assert msgspec.json.decode(content)["extensions"] == {
        "role": "operator",
        "purpose": "account_administration",
        "fields": ["account", "identifiers", "sessions", "life_events", "reviews"],
        "organisation": "govid",
    }
    assert b"canary" not in content


def test_r22_a_megabyte_of_client_text_does_not_enter_an_entry() -> None:
    revoked = SessionRevoked(
        account_id=ACCOUNT, session_ids=[ID], reason="x" * 1_000_000, timestamp=NOON
    )
    huge = OperationContext(correlation_id="c" * 1_000_000, client_address="a" * 1_000_000)
    assert len(entry(revoked, huge).content) < 600


@pytest.mark.parametrize("position", [0, 100, 200])
def test_r22_a_changed_entry_is_not_authentic(position: int) -> None:
    keys, built = AuditKeys.from_settings(AUDIT), entry(FAILED)
    changed = bytearray(built.content)
    changed[position] ^= 1
    assert keys.is_authentic(built.content, built.mac)
    assert not keys.is_authentic(bytes(changed), built.mac)


def test_r22_entries_of_a_former_key_stay_authentic() -> None:
    former = entry(FAILED)
    keys = AuditKeys([b"a new key for tests, 32 bytes long", AUDIT.key], AUDIT.origin)
    assert keys.is_authentic(former.content, former.mac)
    assert len(keys.note_verifiers) == 2
    assert repr(keys) == "<AuditKeys govid.test/audit>"
