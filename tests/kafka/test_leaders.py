"""A partition without a leader is noticed, and what is known of all others stays true."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import TopicAuthorizationFailedError

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_inbox import NOTICE, RESULT, encoded
from tests.kafka.test_verify_kafka import prove, publish

pytestmark = pytest.mark.kafka

BODIES = {Topic.DEATH_NOTIFICATION: NOTICE, Topic.VERIFICATION_RESULT: RESULT}
OTHER = {
    Topic.DEATH_NOTIFICATION: Topic.VERIFICATION_RESULT,
    Topic.VERIFICATION_RESULT: Topic.DEATH_NOTIFICATION,
}
Depose = Callable[[str], Callable[[], None]]


@pytest.fixture
def depose(monkeypatch: pytest.MonkeyPatch) -> Depose:
    """Return what takes the leader of partition 1 of a topic away; its return gives it back."""
    known = ClusterMetadata.leader_for_partition

    def use(topic: str) -> Callable[[], None]:
        def leader(cluster: ClusterMetadata, partition: tuple[str, int]) -> int | None:
            found: int | None = known(cluster, partition)
            return -1 if tuple(partition) == (topic, 1) else found

        monkeypatch.setattr(ClusterMetadata, "leader_for_partition", leader)
        return lambda: monkeypatch.setattr(ClusterMetadata, "leader_for_partition", known)

    return use


async def is_in(replica: KafkaFixture, state: str, stopped: dict[tuple[str, int], int]) -> bool:
    return (replica.kafka.inbox.health_state(), replica.kafka.inbox.failing_partitions) == (
        state,
        stopped,
    )


async def send(replica: KafkaFixture, topic: Topic, partition: int, count: int = 1) -> None:
    async with replica.external_producer() as external_producer:
        for number in range(count):
            value = encoded({**BODIES[topic], "number": number})
            await external_producer.send_and_wait(
                replica.wire_name(topic), value, partition=partition
            )


async def lags(replica: KafkaFixture, expected: dict[tuple[str, int], int]) -> bool:
    return expected.items() <= replica.kafka.inbox.lag.items()


@pytest.mark.parametrize("topic", OTHER)
async def test_a3_a_partition_without_a_leader_is_failing_and_blinds_no_other(
    replica: KafkaFixture, topic: Topic, depose: Depose
) -> None:
    led, other = (topic.value, 0), (OTHER[topic].value, 1)
    await wait_until(lambda: lags(replica, {led: 0, other: 0, (topic.value, 1): 0}))
    give_back = depose(replica.wire_name(topic))
    await wait_until(lambda: is_in(replica, "failing", {(topic.value, 1): 0}))
    await wait_until(lambda: is_in(replica, "stopped", {(topic.value, 1): 1}))
    # What cannot be stored keeps a lag that has to be measured meanwhile.
    await replica.database.reads.execute("ALTER TABLE bus.inbox RENAME TO elsewhere")
    await send(replica, topic, 0, 2)
    await send(replica, OTHER[topic], 1, 3)
    await wait_until(lambda: lags(replica, {led: 2, other: 3}))
    await replica.database.reads.execute("ALTER TABLE bus.elsewhere RENAME TO inbox")
    await wait_until(lambda: replica.holds("event", 5))
    assert await replica.count("inbound_fault", "reason = 'no-leader'") == 0
    give_back()
    await send(replica, topic, 1)
    await wait_until(lambda: replica.holds("event", 6))
    await wait_until(lambda: is_in(replica, "ok", {}))


@pytest.mark.parametrize("topic", OTHER)
async def test_a3_a_partition_that_begins_without_a_leader_stops_no_other(
    kafka_settings: BusSettings, topic: Topic, depose: Depose
) -> None:
    give_back = depose(kafka_settings.wire_name(topic))
    async with (
        Database(kafka_settings) as database,
        KafkaFixture(kafka_settings, database).run() as replica,
    ):
        await replica.wait_until_healthy()
        await send(replica, topic, 0)
        await send(replica, OTHER[topic], 1)
        await wait_until(lambda: replica.holds("event", 2))
        await wait_until(lambda: is_in(replica, "failing", {(topic.value, 1): 0}))
        give_back()
        # With no record to read: it ends with the cause.
        await wait_until(lambda: is_in(replica, "ok", {}))
        await send(replica, topic, 1)
        await wait_until(lambda: replica.holds("event", 3))


@pytest.mark.parametrize("topic", OTHER)
async def test_a3_a_topic_that_tells_no_end_does_not_hide_the_other(
    replica: KafkaFixture, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, name = Fetcher.end_offsets, replica.wire_name(topic)

    async def refusing(fetcher: Fetcher, partitions: Any, *limits: int) -> Any:
        if name in {one.topic for one in partitions}:
            raise TopicAuthorizationFailedError(name)
        return await ask(fetcher, partitions, *limits)

    await replica.wait_until_healthy()
    monkeypatch.setattr(Fetcher, "end_offsets", refusing)
    await replica.database.reads.execute("ALTER TABLE bus.inbox RENAME TO elsewhere")
    await send(replica, OTHER[topic], 1, 3)
    await wait_until(lambda: lags(replica, {(OTHER[topic].value, 1): 3}))


@pytest.mark.parametrize("keys", [3, 8, 20])
async def test_a3_verify_names_a_partition_without_a_leader_and_proves_the_others(
    replica: KafkaFixture, depose: Depose, keys: int
) -> None:
    for _ in range(keys):
        await publish(replica, 2)
    topic = replica.wire_name(Topic.VERIFICATION_REQUEST)
    unproved = await replica.count("receipt", f"topic = '{topic}' AND partition = 1")
    give_back = depose(topic)
    ((finding,), tally) = await prove(replica)
    assert (finding.problem, finding.place) == ("partition_silent", f"{topic}/1")
    assert tally.proved == 2 * keys - unproved
    give_back()
    assert await prove(replica) == (
        [],
        msgspec.structs.replace(tally, proved=2 * keys, records_read=2 * keys),
    )
