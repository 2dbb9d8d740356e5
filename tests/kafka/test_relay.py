"""The outbox relay publishes completely, in order, and only while it holds the leases."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from govid.bus import OperationContext
from govid.bus.delivery.subscriptions import RELAY, bucket_for_key
from govid.bus.events import (
    AccessDecided,
    AppointmentRequested,
    IdentifierType,
    NhsVerificationCompleted,
    Topic,
)
from govid.bus.kafka.cloudevents import partition_for
from tests.kafka.fixtures import KafkaFixture, a_request, by_key, header, wait_until

pytestmark = pytest.mark.kafka


async def test_r15_a_record_is_a_cloud_event_in_binary_mode(replica: KafkaFixture) -> None:
    account = UUID("019d0000-0000-7000-8000-000000000001")
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    context = OperationContext(
        correlation_id="c-42", causation_id=UUID(int=7), traceparent=traceparent
    )
    await replica.emit(a_request(account), context=context)
    (record,) = await replica.read(Topic.VERIFICATION_REQUEST, 1)
    row = await replica.database.reads.fetchrow("SELECT id, occurred_at FROM bus.event")
    assert record.key == b"019d0000-0000-7000-8000-000000000001"
    assert record.value == (
        b'{"userId":"019d0000-0000-7000-8000-000000000001","identifierType":"NHS",'
        b'"identifierValue":"NHS123456789","timestamp":"2026-01-01T00:00:00Z",'
        b'"correlation_id":"c-1"}'
    )
    assert record.headers == (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", str(row["id"]).encode()),
        ("ce_type", b"identity.verification.requested.v1"),
        ("ce_source", b"/govid/identity"),
        ("ce_time", row["occurred_at"].isoformat().replace("+00:00", "Z").encode()),
        ("ce_correlationid", b"c-42"),
        ("ce_subject", b"019d0000-0000-7000-8000-000000000001"),
        ("ce_sequence", b"1"),
        ("ce_causationid", b"00000000-0000-0000-0000-000000000007"),
        ("traceparent", traceparent.encode()),
        ("ce_installation", header(record, "ce_installation").encode()),
    )


async def test_r3_each_key_arrives_in_order_on_its_own_partition(replica: KafkaFixture) -> None:
    accounts = [uuid4() for _ in range(20)]
    await replica.wait_until_healthy()
    async with replica.uow.begin(OperationContext(correlation_id="c")) as tx:
        [tx.emit(a_request(account, str(n))) for n in range(10) for account in accounts]
    records = await replica.read(Topic.VERIFICATION_REQUEST, 200)
    sequences = by_key(records, lambda record: header(record, "ce_sequence"))
    assert sequences == {str(account): [str(n) for n in range(1, 11)] for account in accounts}
    assert {(r.key, r.partition) for r in records} == {
        (str(account).encode(), partition_for(str(account), 4)) for account in accounts
    }


async def test_r11_a_receipt_says_where_the_record_is(replica: KafkaFixture) -> None:
    await replica.emit(*(a_request(uuid4()) for _ in range(5)))
    await replica.wait_until_drained()
    records = await replica.read(Topic.VERIFICATION_REQUEST, 5)
    rows = await replica.database.reads.fetch(
        'SELECT event_id::text, outcome, topic, partition, "offset" FROM bus.receipt'
    )
    assert sorted(tuple(row) for row in rows) == sorted(
        (header(r, "ce_id"), "done", r.topic, r.partition, r.offset) for r in records
    )


async def test_r6_a_refused_record_parks_its_key_and_nothing_else(replica: KafkaFixture) -> None:
    unlucky, lucky = uuid4(), uuid4()
    await replica.emit(
        an_appointment(unlucky, reason="x" * 1_200_000),
        an_appointment(unlucky, reason="behind"),
        *(an_appointment(lucky, reason=str(n)) for n in range(3)),
    )
    records = await replica.read(Topic.APPOINTMENT_REQUEST, 3)
    assert [record.key.decode() for record in records] == [str(lucky)] * 3
    await wait_until(lambda: has_rows(replica, "parked"))
    row = await replica.database.reads.fetchrow(
        "SELECT key, until = 'infinity' AS for_good, reason, error_class FROM bus.parked"
    )
    assert tuple(row) == (
        f"appointment/{unlucky}", True, "refused", "aiokafka.errors.MessageSizeTooLargeError"
    )  # fmt: skip
    await wait_until(lambda: has_pending(replica, 2))
    assert await replica.count("dead") == 0


async def test_r6_a_refused_record_without_a_key_is_dead(replica: KafkaFixture) -> None:
    await replica.emit(a_decision("x" * 1_200_000), a_decision("small"))
    records = await replica.read(Topic.ACCESS, 1)
    assert msgspec.json.decode(records[0].value)["resource"] == "small"
    await wait_until(lambda: has_rows(replica, "dead"))
    assert await replica.database.reads.fetchval("SELECT reason FROM bus.dead") == "refused"
    await wait_until(lambda: has_pending(replica, 0))


async def test_r4_what_was_sent_under_a_lost_lease_is_not_struck_off(replica: KafkaFixture) -> None:
    account = uuid4()
    await replica.wait_until_healthy()
    await wait_until(lambda: owns(replica, account))
    # Another replica takes the bucket over, and this one does not know yet.
    await replica.database.reads.execute(
        "UPDATE bus.lease SET owner = gen_random_uuid(), epoch = epoch + 1 WHERE bucket = $1",
        bucket_for_key(f"verification/{account}"),
    )
    await replica.emit(a_request(account))
    await replica.read(Topic.VERIFICATION_REQUEST, 1)
    await replica.kafka.stop()
    assert await replica.count("receipt") == 0
    assert await replica.count("delivery", f"subscriber = '{RELAY}'") == 1


async def test_r3_two_topics_of_one_stream_share_its_numbers(replica: KafkaFixture) -> None:
    account = uuid4()
    answer = NhsVerificationCompleted(
        user_id=account,
        identifier_type=IdentifierType.NHS,
        is_verified=True,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )
    await replica.emit(a_request(account), answer)
    (question,) = await replica.read(Topic.VERIFICATION_REQUEST, 1)
    (result,) = await replica.read(Topic.VERIFICATION_RESULT, 1)
    assert header(question, "ce_sequence") == "1"
    assert header(result, "ce_sequence") == "2"
    assert header(result, "ce_type") == "nhs.verification.completed.v1"


async def has_rows(replica: KafkaFixture, table: str) -> bool:
    return await replica.count(table) > 0


async def has_pending(replica: KafkaFixture, count: int) -> bool:
    return await replica.count("delivery", f"subscriber = '{RELAY}'") == count


async def owns(replica: KafkaFixture, account: UUID) -> bool:
    return bucket_for_key(f"verification/{account}") in replica.leases.owned_epochs(RELAY)


def an_appointment(account: UUID, reason: str) -> AppointmentRequested:
    return AppointmentRequested(
        appointment_id=uuid4(),
        user_id=account,
        patient_identifier="NHS123456789",
        requested_datetime=datetime(2026, 2, 1, 10, tzinfo=UTC),
        doctor_specialty="cardiology",
        reason=reason,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id="c-1",
    )


def a_decision(resource: str) -> AccessDecided:
    return AccessDecided(
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        resource=resource,
        granted=True,
        correlation_id="c-1",
    )
