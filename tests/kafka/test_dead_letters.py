"""Dead letters keep the content of a record, whatever the refusal of another one."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors

from govid.bus.events import Topic
from govid.bus.kafka import inbound_records
from govid.bus.kafka.inbound_records import DeadLetterPublisher, DeadLetterRefused, InvalidRecord
from tests.kafka.fixtures import KafkaFixture, header
from tests.kafka.test_inbox import Record

pytestmark = pytest.mark.kafka

NOT_JSON = InvalidRecord("not-json")
Refuse = Callable[[Sequence[Exception]], None]
PASSING = {
    "unknown": errors.UnknownError(),
    "order": errors.OutOfOrderSequenceNumber(),
    "producer": errors.UnknownProducerId(),
    "no topic": errors.UnknownTopicOrPartitionError(),
    "access": errors.TopicAuthorizationFailedError("t"),
    "damage": errors.CorruptRecordException(),
}
each_refusal = pytest.mark.parametrize("refusal", PASSING.values(), ids=PASSING)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Return what makes the next deliveries raise errors, each one of them; then Kafka is well."""
    deliver = inbound_records._send_to_partition

    def use(refusals: Sequence[Exception]) -> None:
        left = iter(refusals)

        async def refusing(*arguments: Any) -> None:
            if refusal := next(left, None):
                raise refusal
            await deliver(*arguments)

        monkeypatch.setattr(inbound_records, "_send_to_partition", refusing)

    return use


@pytest.fixture
async def dead_letters(replica: KafkaFixture) -> DeadLetterPublisher:
    """Return dead letters of their own on the producer of a replica that runs."""
    await replica.wait_until_healthy()
    return DeadLetterPublisher(replica.kafka._dead_letter_producer)


def a_record(replica: KafkaFixture, offset: int, value: bytes = b"not json at all") -> Record:
    return Record(replica.wire_name(Topic.DEATH_NOTIFICATION), value, [("h", b"1")], offset=offset)


async def copies(replica: KafkaFixture, count: int) -> list[tuple[Any, ...]]:
    """Return offset, key, value and the sender's header of the first *count* dead letters."""
    records = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", count)
    return [(header(one, "dlq_offset"), one.key, one.value, header(one, "h")) for one in records]


@each_refusal
async def test_a2_a_passing_refusal_takes_no_content_from_any_copy(
    replica: KafkaFixture, dead_letters: DeadLetterPublisher, refuse: Refuse, refusal: Exception
) -> None:
    refuse([refusal])
    with pytest.raises(DeadLetterRefused):
        await dead_letters.publish(a_record(replica, 0), NOT_JSON)
    assert await dead_letters.publish(a_record(replica, 0), NOT_JSON) is True
    assert await dead_letters.publish(a_record(replica, 1), NOT_JSON) is True
    whole = (b"k", b"not json at all", "1")
    assert await copies(replica, 2) == [("0", *whole), ("1", *whole)]


@each_refusal
async def test_a2_content_that_is_refused_to_the_end_leaves_its_reason_and_no_limit(
    replica: KafkaFixture,
    dead_letters: DeadLetterPublisher,
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
) -> None:
    monkeypatch.setattr(inbound_records, "SKIP_AFTER_SECONDS", 0.0)
    refuse([refusal])
    assert await dead_letters.publish(a_record(replica, 0), NOT_JSON) is True
    assert await dead_letters.publish(a_record(replica, 1), NOT_JSON) is True
    assert await copies(replica, 2) == [
        ("0", None, None, None),
        ("1", b"k", b"not json at all", "1"),
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        errors.MessageSizeTooLargeError(),
        errors.RecordTooLargeError(),
        errors.RecordListTooLargeError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a2_only_a_refused_size_is_not_offered_again(
    replica: KafkaFixture, dead_letters: DeadLetterPublisher, refuse: Refuse, refusal: Exception
) -> None:
    refuse([refusal])
    for offset, value in enumerate((b"x" * 50, b"y" * 50, b"y" * 49)):
        assert await dead_letters.publish(a_record(replica, offset, value), NOT_JSON) is True
    assert await copies(replica, 3) == [
        ("0", None, None, None),
        ("1", None, None, None),
        ("2", b"k", b"y" * 49, "1"),
    ]


@each_refusal
@pytest.mark.parametrize("offset", [0, 1], ids=["same", "next"])
async def test_a2_after_a_step_over_a_refusal_has_the_whole_time_again(
    replica: KafkaFixture,
    dead_letters: DeadLetterPublisher,
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
    offset: int,
) -> None:
    clock = iter([0.0, 0.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0])
    monkeypatch.setattr(inbound_records, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    refuse([refusal] * 4)
    with pytest.raises(DeadLetterRefused):
        await dead_letters.publish(a_record(replica, 0), NOT_JSON)
    assert await dead_letters.publish(a_record(replica, 0), NOT_JSON) is False
    with pytest.raises(DeadLetterRefused):
        await dead_letters.publish(a_record(replica, offset), NOT_JSON)
    assert await dead_letters.publish(a_record(replica, offset), NOT_JSON) is True
    whole = (b"k", b"not json at all", "1")
    assert await copies(replica, 1) == [(str(offset), *whole)]
