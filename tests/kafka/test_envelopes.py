"""Requirement 15: what Kafka stores is what the contract of each type says, to the byte."""

import msgspec
import pytest

from govid.bus import OperationContext
from govid.bus.events import Event
from tests.contracts import golden
from tests.contracts.golden import Kind, kinds
from tests.kafka.fixtures import KafkaFixture, header

pytestmark = pytest.mark.kafka

CONTEXT = OperationContext(
    correlation_id="c-1", causation_id=golden.CONTEXT, traceparent=golden.TRACE
)
PUBLISHED = {kind.file.stem: kind for kind in kinds() if kind.type and kind.topic}


@pytest.mark.parametrize("kind", PUBLISHED.values(), ids=PUBLISHED)
async def test_r15_key_value_and_headers(replica: KafkaFixture, kind: Kind) -> None:
    contract = golden.read(kind)["record"]
    value = msgspec.json.encode(contract["value"])
    event: Event = msgspec.json.decode(value, type=kind.struct)
    await replica.emit(event, context=CONTEXT)
    assert kind.topic is not None
    (record,) = await replica.read(kind.topic, 1)
    assert record.value == value
    assert (record.key and record.key.decode()) == contract["key"]
    # Only the id and the time are new with each event, and the installation with each database.
    new = {name: header(record, name) for name in ("ce_id", "ce_time", "ce_installation")}
    assert {name: text.decode() for name, text in record.headers} == contract["headers"] | new
