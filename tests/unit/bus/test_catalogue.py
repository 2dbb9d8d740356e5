"""The table of event types, and the wire form of every event with a topic (requirement 15)."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from govid.bus import Pseudonyms
from govid.bus.catalogue import EVENT_TYPES, Catalogue, UnknownEventType
from govid.bus.contracts import (
    AccessDecided,
    AppointmentDecided,
    AppointmentRequested,
    DeathNotified,
    Event,
    HmrcVerificationCompleted,
    IdentifierType,
    NhsVerificationCompleted,
    VerificationRequested,
)

USER = UUID("01890000-0000-7000-8000-000000000001")
APPOINTMENT = UUID("01890000-0000-7000-8000-000000000002")
AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
PSEUDONYMS = Pseudonyms(b"k" * 32)

GOLDEN: dict[str, tuple[Event, bytes]] = {
    "identity.verification.requested": (
        VerificationRequested(
            user_id=USER,
            identifier_type=IdentifierType.NIN,
            identifier_value="AB123456C",
            timestamp=AT,
            correlation_id="c-1",
        ),
        (
            b'{"userId":"01890000-0000-7000-8000-000000000001","identifierType":"NIN",'
            b'"identifierValue":"AB123456C","timestamp":"2026-01-05T14:30:00Z",'
            b'"correlation_id":"c-1"}'
        ),
    ),
    "nhs.verification.completed": (
        NhsVerificationCompleted(
            user_id=USER, identifier_type=IdentifierType.NHS, is_verified=True, timestamp=AT
        ),
        (
            b'{"userId":"01890000-0000-7000-8000-000000000001","identifierType":"NHS",'
            b'"isVerified":true,"timestamp":"2026-01-05T14:30:00Z","error":null}'
        ),
    ),
    "hmrc.verification.completed": (
        HmrcVerificationCompleted(
            user_id=USER,
            identifier_type=IdentifierType.NIN,
            is_verified=False,
            timestamp=AT,
            error="not_matched",
        ),
        (
            b'{"userId":"01890000-0000-7000-8000-000000000001","identifierType":"NIN",'
            b'"isVerified":false,"timestamp":"2026-01-05T14:30:00Z","error":"not_matched"}'
        ),
    ),
    "hmrc.death.notified": (
        DeathNotified(
            identifier_type=IdentifierType.NIN, identifier_value="AB123456C", timestamp=AT
        ),
        (
            b'{"identifierType":"NIN","identifierValue":"AB123456C","userId":null,"reason":null,'
            b'"timestamp":"2026-01-05T14:30:00Z"}'
        ),
    ),
    "nhs.appointment.requested": (
        AppointmentRequested(
            appointment_id=APPOINTMENT,
            user_id=USER,
            patient_identifier="9434765919",
            requested_datetime=AT,
            doctor_specialty="Cardiology",
            timestamp=AT,
            correlation_id="c-1",
        ),
        (
            b'{"appointment_id":"01890000-0000-7000-8000-000000000002",'
            b'"user_id":"01890000-0000-7000-8000-000000000001","patient_identifier":"9434765919",'
            b'"requested_datetime":"2026-01-05T14:30:00Z","doctor_specialty":"Cardiology",'
            b'"reason":null,"timestamp":"2026-01-05T14:30:00Z","correlation_id":"c-1"}'
        ),
    ),
    "nhs.appointment.decided": (
        AppointmentDecided(
            appointment_id=APPOINTMENT, user_id=USER, status="CONFIRMED", timestamp=AT
        ),
        (
            b'{"appointment_id":"01890000-0000-7000-8000-000000000002",'
            b'"user_id":"01890000-0000-7000-8000-000000000001","status":"CONFIRMED",'
            b'"confirmed_datetime":null,"confirmation_details":null,"rejection_reason":null,'
            b'"timestamp":"2026-01-05T14:30:00Z"}'
        ),
    ),
    "gateway.access.decided": (
        AccessDecided(
            timestamp=AT, resource="nhs.patient.list", granted=True, correlation_id="c-1"
        ),
        (
            b'{"timestamp":"2026-01-05T14:30:00Z","service":"gateway","resource":"nhs.patient.list",'
            b'"granted":true,"error":null,"user_id":null,"correlation_id":"c-1"}'
        ),
    ),
}


def test_every_type_with_a_topic_has_a_golden_value() -> None:
    assert {kind.name for kind in EVENT_TYPES if kind.topic} == GOLDEN.keys()


@pytest.mark.parametrize("name", GOLDEN)
def test_r15_the_value_is_the_contracts(name: str) -> None:
    event, value = GOLDEN[name]
    assert msgspec.json.encode(event) == value


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_written_can_be_read(name: str) -> None:
    event, value = GOLDEN[name]
    catalogue = Catalogue()
    assert catalogue.decode(catalogue.named(name, 1), value) == event


@pytest.mark.parametrize("name", GOLDEN)
def test_r15_no_identifier_stands_in_a_key_or_a_repr(name: str) -> None:
    event, _ = GOLDEN[name]
    kind = Catalogue().of(event)
    seen = f"{kind.key(event, PSEUDONYMS)} {kind.account(event)} {event!r}"
    assert "AB123456C" not in seen
    assert "9434765919" not in seen


def test_a_death_notice_is_ordered_by_its_identifier_without_showing_it() -> None:
    event, _ = GOLDEN["hmrc.death.notified"]
    key = Catalogue().of(event).key(event, PSEUDONYMS)
    assert key == f"death/{PSEUDONYMS.of('NIN:AB123456C')}"


def test_an_unknown_version_is_an_unknown_type() -> None:
    with pytest.raises(UnknownEventType):
        Catalogue().named("nhs.verification.completed", 2)


# A name or a stream in this table that changes makes stored events unreadable (I10): add, never
# change.
PERMANENT = {
    ("identity.account.registered", 1, "account"),
    ("identity.account.verified", 1, "account"),
    ("identity.account.verification_failed", 1, "account"),
    ("identity.account.blocked", 1, "account"),
    ("identity.account.restored", 1, "account"),
    ("identity.verification.requested", 1, "verification"),
    ("nhs.verification.completed", 1, "verification"),
    ("hmrc.verification.completed", 1, "verification"),
    ("hmrc.death.notified", 1, "death"),
    ("nhs.appointment.requested", 1, "appointment"),
    ("nhs.appointment.decided", 1, "appointment"),
    ("gateway.access.decided", 1, None),
    ("bus.outbox.replayed", 1, "operator"),
    ("bus.outbox.retried", 1, "operator"),
    ("bus.outbox.unparked", 1, "operator"),
    ("bus.outbox.discarded", 1, "operator"),
    ("bus.outbox.backfilled", 1, "operator"),
}


def test_i10_names_of_event_types_are_permanent() -> None:
    assert {(t.name, t.version, t.stream) for t in EVENT_TYPES} >= PERMANENT
