"""The log topics while Kafka is well: batches and headers."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from govid.bus.events import AccessDecided, RequestFinished, RequestReceived, Topic
from govid.bus.kafka import log_topics, service
from tests.kafka.fixtures import KafkaFixture, header

pytestmark = pytest.mark.kafka

RECEIVED = RequestReceived(
    timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    method="GET",
    path="/api/auth/profile",
    client_ip="192.0.2.1",
    user_agent="test",
    request_id="r-1",
    correlation_id="c-1",
)
FINISHED = RequestFinished(
    **{**msgspec.structs.asdict(RECEIVED), "message": "request finished"},
    status_code=200,
    duration_ms=1.5,
    user_id=None,
)
DECIDED = AccessDecided(
    timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    resource="identity.profile",
    granted=False,
    error="account-blocked",
    user_id="019d0000-0000-7000-8000-000000000001",
    correlation_id="c-1",
)


async def test_r15_an_activity_record_has_the_contracts_members(replica: KafkaFixture) -> None:
    await replica.wait_until_healthy()
    replica.kafka.logs.publish_activity(RECEIVED)
    replica.kafka.logs.publish_activity(FINISHED)
    records = await replica.read(Topic.ACTIVITY, 2)
    first, second = sorted(records, key=lambda record: len(record.value))
    assert first.key is None
    assert msgspec.json.decode(first.value) == {
        "timestamp": "2026-01-01T00:00:00Z",
        "level": "INFO",
        "service": "gateway",
        "message": "request received",
        "method": "GET",
        "path": "/api/auth/profile",
        "client_ip": "192.0.2.1",
        "user_agent": "test",
        "request_id": "r-1",
        "correlation_id": "c-1",
    }
    added = msgspec.json.decode(second.value).items() - msgspec.json.decode(first.value).items()
    assert dict(added) == {
        "message": "request finished", "status_code": 200, "duration_ms": 1.5, "user_id": None
    }  # fmt: skip
    assert header(first, "ce_type") == "gateway.request.received.v1"
    assert header(second, "ce_type") == "gateway.request.finished.v1"
    assert header(first, "ce_correlationid") == "c-1"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Kafka take its time: these tests are about the way, not about how busy a machine is."""
    monkeypatch.setattr(log_topics, "ACK_SECONDS", 60)
    monkeypatch.setattr(service, "FINISH_SECONDS", 60)


@pytest.mark.usefixtures("patience")
async def test_r15_an_access_record_goes_straight_to_kafka(replica: KafkaFixture) -> None:
    await replica.wait_until_healthy()
    replica.kafka.logs.publish_access(DECIDED)
    (record,) = await replica.read(Topic.ACCESS, 1)
    assert record.value == msgspec.json.encode(DECIDED)
    assert UUID(header(record, "ce_id")).version == 7
    assert header(record, "ce_type") == "gateway.access.decided.v1"
    assert await replica.count("event") == 0


@pytest.mark.usefixtures("patience")
async def test_records_put_before_a_stop_are_sent(replica: KafkaFixture) -> None:
    await replica.wait_until_healthy()
    [replica.kafka.logs.publish_access(DECIDED) for _ in range(3000)]
    await replica.kafka.stop()
    records = await replica.read(Topic.ACCESS, 3000)
    assert len({header(record, "ce_id") for record in records}) == 3000
    assert replica.kafka.logs.dropped_count == 0
