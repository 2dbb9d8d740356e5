"""Requirements 6 and 7: an outage of Kafka loses no event, uses no attempt, and ends by itself."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID, uuid4

import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.events import AccessDecided, RequestReceived, Topic
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_tail import open_tail
from tests.backends import kafka
from tests.kafka.fixtures import KafkaFixture, a_request, by_key, header, wait_until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("mortal-kafka"),
]

ACCOUNTS = 20


@pytest.fixture(autouse=True)
def alive(killable_kafka: kafka.Broker) -> Iterator[None]:
    """Leave the broker running, whatever a test did to it."""
    yield
    killable_kafka.start()
    kafka.wait_until_ready(killable_kafka.address)


async def test_r6_what_happens_while_kafka_is_away_arrives_afterwards(
    killable_replica: KafkaFixture, killable_kafka: kafka.Broker
) -> None:
    replica, accounts = killable_replica, [uuid4() for _ in range(ACCOUNTS)]
    await replica.wait_until_healthy()
    await emit_to_each(replica, accounts, "before")
    killable_kafka.kill()
    for n in range(9):
        await emit_to_each(replica, accounts, f"during {n}")
    await wait_until(lambda: is_down(replica))
    killable_kafka.start()
    await replica.wait_until_drained()
    records = await replica.read(Topic.VERIFICATION_REQUEST, 10 * ACCOUNTS)
    assert in_order(records, accounts, 10)
    assert len({header(record, "ce_id") for record in records}) == 10 * ACCOUNTS
    assert await replica.count("receipt") == 10 * ACCOUNTS
    assert await replica.count("parked") == 0
    assert await replica.count("dead") == 0


async def test_r7_a_frozen_broker_costs_a_producer_and_nothing_else(
    killable_replica: KafkaFixture, killable_kafka: kafka.Broker
) -> None:
    replica, accounts = killable_replica, [uuid4() for _ in range(ACCOUNTS)]
    await emit_to_each(replica, accounts, "before")
    await replica.wait_until_drained()
    killable_kafka.freeze()
    await emit_to_each(replica, accounts, "during")
    await wait_until(lambda: has_replaced(replica))
    killable_kafka.thaw()
    await replica.wait_until_drained()
    records = await replica.read(Topic.VERIFICATION_REQUEST, 2 * ACCOUNTS)
    assert in_order(records, accounts, 2)
    assert await replica.count("parked") == 0


async def test_r6_who_watches_a_topic_may_leave_although_kafka_is_frozen(
    killable_replica: KafkaFixture, killable_kafka: kafka.Broker
) -> None:
    replica = killable_replica
    await replica.wait_until_healthy()
    topic = replica.settings.wire_name(Topic.ACCESS)
    async with open_tail(
        KafkaClientFactory(killable_kafka.address), [topic], since=None, from_start=True
    ) as records:
        replica.kafka.logs.publish_access(a_decision(1))
        await anext(records)
        killable_kafka.freeze()
        left = monotonic()
    assert monotonic() - left < 5


async def test_r6_access_records_survive_an_outage(
    killable_replica: KafkaFixture, killable_kafka: kafka.Broker
) -> None:
    replica = killable_replica
    await replica.wait_until_healthy()
    killable_kafka.kill()
    [replica.kafka.logs.publish_access(a_decision(n)) for n in range(1000)]
    await wait_until(lambda: all_stored(replica, 1000))
    killable_kafka.start()
    await replica.wait_until_drained()
    records = await replica.read(Topic.ACCESS, 1000)
    resources = {msgspec.json.decode(record.value)["resource"] for record in records}
    assert resources == {f"/r/{n}" for n in range(1000)}
    assert replica.kafka.logs.dropped_count == 0


async def test_r6_activity_records_are_counted_when_they_are_dropped(
    killable_replica: KafkaFixture, killable_kafka: kafka.Broker
) -> None:
    replica = killable_replica
    await replica.wait_until_healthy()
    killable_kafka.kill()
    [replica.kafka.logs.publish_activity(an_activity(n)) for n in range(30_000)]
    await wait_until(lambda: has_dropped(replica, 30_000))
    assert await replica.count("event") == 0


async def test_r6_an_outage_ends_neither_the_process_nor_its_stop(
    killable_replica: KafkaFixture, killable_kafka: kafka.Broker
) -> None:
    replica = killable_replica
    await replica.wait_until_healthy()
    killable_kafka.freeze()
    await emit_to_each(replica, [uuid4()], "during")
    began = monotonic()
    await replica.kafka.stop()
    assert monotonic() - began < 10
    assert await replica.count("delivery") == 1


async def test_r6_a_stop_leaves_neither_task_nor_connection_when_kafka_falls_silent(
    killable_settings: BusSettings, killable_kafka: kafka.Broker
) -> None:
    async with Database(killable_settings) as database:
        before, replica = asyncio.all_tasks(), KafkaFixture(killable_settings, database)
        await replica.kafka.start()
        async with replica.external_producer() as producer:
            await producer.send_and_wait(replica.wire_name(Topic.DEATH_NOTIFICATION), b"no notice")
        await wait_until(lambda: has_read(replica))
        killable_kafka.freeze()
        await replica.emit(a_request(uuid4()))
        await replica.kafka.stop()
        # Each connection has a task that reads it.
        assert asyncio.all_tasks() == before


async def test_r6_a_stop_leaves_neither_task_nor_connection_when_kafka_never_spoke(
    killable_settings: BusSettings, killable_kafka: kafka.Broker
) -> None:
    killable_kafka.freeze()
    async with Database(killable_settings) as database:
        before, replica = asyncio.all_tasks(), KafkaFixture(killable_settings, database)
        await replica.kafka.start()
        await replica.kafka.stop()
        assert asyncio.all_tasks() == before


async def emit_to_each(replica: KafkaFixture, accounts: list[UUID], label: str) -> None:
    for account in accounts:
        await replica.emit(a_request(account, label))


def in_order(records: list[object], accounts: list[UUID], count: int) -> bool:
    """Tell whether each account's first occurrences are 1 to *count*, in order."""
    sequences = by_key(records, lambda record: int(header(record, "ce_sequence") or 0))
    firsts = {key: list(dict.fromkeys(numbers)) for key, numbers in sequences.items()}
    return firsts == {str(account): list(range(1, count + 1)) for account in accounts}


async def has_read(replica: KafkaFixture) -> bool:
    """Tell whether the inbox is a member of its group, and at work."""
    return bool(replica.kafka.inbox.lag)


async def is_down(replica: KafkaFixture) -> bool:
    return replica.kafka.health_state() == "down"


async def has_replaced(replica: KafkaFixture) -> bool:
    return replica.kafka._event_producer.rebuild_count > 0


async def all_stored(replica: KafkaFixture, count: int) -> bool:
    return await replica.count("event") == count


async def has_dropped(replica: KafkaFixture, count: int) -> bool:
    return replica.kafka.logs.dropped_count == count


def a_decision(n: int) -> AccessDecided:
    return AccessDecided(
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        resource=f"/r/{n}",
        granted=True,
        user_id=str(uuid4()),
        correlation_id=f"c-{n}",
    )


def an_activity(n: int) -> RequestReceived:
    return RequestReceived(
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        method="GET",
        path=f"/r/{n}",
        client_ip="192.0.2.1",
        user_agent=None,
        request_id=f"r-{n}",
        correlation_id=f"c-{n}",
    )
