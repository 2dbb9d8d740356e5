"""Requirement 7: after a fatal error the producer is replaced automatically."""

from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced

from govid.bus.events import Topic
from tests.kafka.fixtures import KafkaFixture, a_request, by_key, header

pytestmark = pytest.mark.kafka

EVENTS = 50
FATAL = [OutOfOrderSequenceNumber, ProducerFenced]


@pytest.fixture(params=FATAL)
def fatal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    """Let the first batch arrive, and its producer hear the worst."""
    send_batch = AIOKafkaProducer.send_batch
    errors = iter([request.param()])

    async def once(producer: AIOKafkaProducer, *args: Any, **options: Any) -> Any:
        future = await send_batch(producer, *args, **options)
        for error in errors:
            await future
            raise error
        return future

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", once)
    kind: type[Exception] = request.param
    return kind


async def test_r7_after_a_fatal_error_the_records_come_again_under_their_ids(
    replica: KafkaFixture, fatal: type[Exception]
) -> None:
    account = uuid4()
    await replica.wait_until_healthy()
    await replica.emit(*(a_request(account, str(n)) for n in range(EVENTS)))
    await replica.wait_until_drained()
    assert replica.kafka._event_producer.rebuild_count == 1
    records = await replica.read(Topic.VERIFICATION_REQUEST, 2 * EVENTS)
    (sequences,) = by_key(records, lambda record: int(header(record, "ce_sequence") or 0)).values()
    assert sequences == [*range(1, EVENTS + 1)] * 2
    ids = [header(record, "ce_id") for record in records]
    assert ids[:EVENTS] == ids[EVENTS:]
    assert await replica.count("receipt") == EVENTS
    assert await replica.count("parked") == 0
