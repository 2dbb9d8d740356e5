"""What the relay and the inbox count is what Kafka has seen."""

from uuid import uuid4

import pytest

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.events import Topic
from govid.bus.metrics import KafkaState
from tests.kafka.fixtures import KafkaFixture, a_request, wait_until
from tests.kafka.test_inbox import NOTICE, encoded, publish

pytestmark = pytest.mark.kafka

DEATHS = Topic.DEATH_NOTIFICATION
STRANGE = b"AB123456C.died.v1"
"""What a producer outside may call a type; it must not become a label (I9)."""


def counted(replica: KafkaFixture, name: str, **labels: str) -> float | None:
    return replica.registry.get_sample_value(f"govid_{name}", labels)


async def test_acknowledged_events_are_counted_by_their_topic(replica: KafkaFixture) -> None:
    topic = Topic.VERIFICATION_REQUEST.value
    await replica.emit(a_request(uuid4()), a_request(uuid4()))
    await wait_until(lambda: acknowledged(replica, topic, 2))
    assert counted(replica, "relay_ack_seconds_count", topic=topic) == 2
    assert counted(replica, "deliveries_total", subscriber=RELAY, outcome="done") == 2
    assert replica.kafka.relay_state is KafkaState.OK


async def acknowledged(replica: KafkaFixture, topic: str, count: int) -> bool:
    return counted(replica, "relay_acked_total", topic=topic) == count


async def test_a_producer_that_was_given_up_is_counted_once(replica: KafkaFixture) -> None:
    await replica.wait_until_healthy()
    producer = await replica.kafka.relay._producer.wait_until_ready()
    replica.kafka.relay._producer.replace(producer, "tests.Reason")
    replica.kafka.relay._producer.replace(producer, "tests.Reason")
    assert counted(replica, "relay_producer_rebuilds_total", reason="tests.Reason") == 1


async def test_what_came_in_is_counted_by_its_fate(replica: KafkaFixture) -> None:
    again = (encoded(NOTICE), [("ce_id", b"the same")])
    await publish(
        replica,
        DEATHS,
        again,
        again,
        (encoded(NOTICE), [("ce_type", STRANGE)]),
        (encoded(NOTICE), [("ce_type", b"hmrc.death.notified.v2")]),
        (b"not json", []),
    )
    # The mark counts as taken.
    expected = {"taken": 3, "known": 1, "unknown_type": 1, "unreadable": 1}
    await wait_until(lambda: read(replica, expected))
    assert counted(replica, "events_emitted_total", type="hmrc.death.notified") == 3
    assert counted(replica, "events_emitted_total", type="unknown") == 1
    await wait_until(lambda: nothing_left(replica))


async def read(replica: KafkaFixture, expected: dict[str, int]) -> bool:
    return {
        outcome: counted(replica, "inbox_records_total", topic=DEATHS.value, outcome=outcome)
        for outcome in expected
    } == expected


async def nothing_left(replica: KafkaFixture) -> bool:
    lag = replica.kafka.inbox.lag
    return (DEATHS.value, 0) in lag and set(lag.values()) == {0}
