"""Requirement 15, per event type: key, value and headers as consumers get them."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from govid.bus.catalogue import EVENT_TYPES
from govid.bus.contracts import (
    AccessDecided,
    AppointmentDecided,
    AppointmentRequested,
    DeathNotified,
    Event,
    HmrcVerificationCompleted,
    IdentifierType,
    NhsVerificationCompleted,
    Topic,
    VerificationRequested,
)
from tests.kafka.house import House, header

pytestmark = pytest.mark.kafka

ACCOUNT = UUID("019d0000-0000-7000-8000-000000000001")
APPOINTMENT = UUID("019d0000-0000-7000-8000-000000000002")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

GOLDEN: list[tuple[Event, Topic, str, str | None, str]] = [
    (
        VerificationRequested(
            user_id=ACCOUNT,
            identifier_type=IdentifierType.NIN,
            identifier_value="AB123456C",
            timestamp=NOON,
            correlation_id="c-1",
        ),
        Topic.VERIFICATION_REQUEST,
        "identity.verification.requested.v1",
        str(ACCOUNT),
        (
            '{"userId":"019d0000-0000-7000-8000-000000000001","identifierType":"NIN",'
            '"identifierValue":"AB123456C","timestamp":"2026-01-01T12:00:00Z","correlation_id":"c-1"}'
        ),
    ),
    (
        NhsVerificationCompleted(
            user_id=ACCOUNT,
            identifier_type=IdentifierType.NHS,
            is_verified=True,
            timestamp=NOON,
        ),
        Topic.VERIFICATION_RESULT,
        "nhs.verification.completed.v1",
        str(ACCOUNT),
        (
            '{"userId":"019d0000-0000-7000-8000-000000000001","identifierType":"NHS",'
            '"isVerified":true,"timestamp":"2026-01-01T12:00:00Z","error":null}'
        ),
    ),
    (
        HmrcVerificationCompleted(
            user_id=ACCOUNT,
            identifier_type=IdentifierType.NIN,
            is_verified=False,
            timestamp=NOON,
            error="not-found",
        ),
        Topic.VERIFICATION_RESULT,
        "hmrc.verification.completed.v1",
        str(ACCOUNT),
        (
            '{"userId":"019d0000-0000-7000-8000-000000000001","identifierType":"NIN",'
            '"isVerified":false,"timestamp":"2026-01-01T12:00:00Z","error":"not-found"}'
        ),
    ),
    (
        DeathNotified(
            identifier_type=IdentifierType.NIN,
            identifier_value="AB123456C",
            timestamp=NOON,
        ),
        Topic.DEATH_NOTIFICATION,
        "hmrc.death.notified.v1",
        None,
        (
            '{"identifierType":"NIN","identifierValue":"AB123456C","userId":null,"reason":null,'
            '"timestamp":"2026-01-01T12:00:00Z"}'
        ),
    ),
    (
        AppointmentRequested(
            appointment_id=APPOINTMENT,
            user_id=ACCOUNT,
            patient_identifier="AB123456C",
            requested_datetime=NOON,
            doctor_specialty="cardiology",
            timestamp=NOON,
            correlation_id="c-1",
        ),
        Topic.APPOINTMENT_REQUEST,
        "nhs.appointment.requested.v1",
        str(ACCOUNT),
        (
            '{"appointment_id":"019d0000-0000-7000-8000-000000000002",'
            '"user_id":"019d0000-0000-7000-8000-000000000001","patient_identifier":"AB123456C",'
            '"requested_datetime":"2026-01-01T12:00:00Z","doctor_specialty":"cardiology",'
            '"reason":null,"timestamp":"2026-01-01T12:00:00Z","correlation_id":"c-1"}'
        ),
    ),
    (
        AppointmentDecided(
            appointment_id=APPOINTMENT,
            user_id=ACCOUNT,
            status="CONFIRMED",
            confirmed_datetime=NOON,
            timestamp=NOON,
        ),
        Topic.APPOINTMENT_RESULT,
        "nhs.appointment.decided.v1",
        str(ACCOUNT),
        (
            '{"appointment_id":"019d0000-0000-7000-8000-000000000002",'
            '"user_id":"019d0000-0000-7000-8000-000000000001","status":"CONFIRMED",'
            '"confirmed_datetime":"2026-01-01T12:00:00Z","confirmation_details":null,'
            '"rejection_reason":null,"timestamp":"2026-01-01T12:00:00Z"}'
        ),
    ),
    (
        AccessDecided(
            timestamp=NOON, resource="nhs.patient.list", granted=True, correlation_id="c"
        ),
        Topic.ACCESS,
        "gateway.access.decided.v1",
        None,
        (
            '{"timestamp":"2026-01-01T12:00:00Z","service":"gateway","resource":"nhs.patient.list",'
            '"granted":true,"error":null,"user_id":null,"correlation_id":"c"}'
        ),
    ),
]


def test_every_type_that_has_a_topic_is_here() -> None:
    published = {kind.struct for kind in EVENT_TYPES if kind.topic is not None}
    assert published == {type(event) for event, *_ in GOLDEN}


@pytest.mark.parametrize(
    ("event", "topic", "type_name", "key", "value"), GOLDEN, ids=[g[2] for g in GOLDEN]
)
async def test_r15_key_value_and_headers(
    house: House, event: Event, topic: Topic, type_name: str, key: str | None, value: str
) -> None:
    await house.emit(event)
    (record,) = await house.read(topic, 1)
    assert record.value.decode() == value
    assert (record.key and record.key.decode()) == key
    assert header(record, "ce_subject") == key
    assert header(record, "ce_type") == type_name
    assert b"AB123456C" not in b"".join(content for _, content in record.headers)
