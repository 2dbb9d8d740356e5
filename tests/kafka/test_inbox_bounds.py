"""One round of the inbox is bounded; a record that takes too long stops its partition only."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from govid.bus.events import Topic
from govid.bus.kafka.inbound_faults import InboundFaults
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_inbox import NOTICE, RESULT, encoded

pytestmark = pytest.mark.kafka

EACH_TOPIC = pytest.mark.parametrize(
    ("topic", "body"), [(Topic.DEATH_NOTIFICATION, NOTICE), (Topic.VERIFICATION_RESULT, RESULT)]
)
DELAYS = {
    "server": "RAISE EXCEPTION 'no' USING ERRCODE = 'query_canceled'",
    "driver": "PERFORM pg_sleep(30)",
}
"""What a trigger does so that its statement is cancelled: by the server or by the client."""
EACH_DELAY = pytest.mark.parametrize("delay", DELAYS.values(), ids=DELAYS)
SLOW_TOGETHER = """
    CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF (SELECT count(*) FROM added) > 1 THEN {}; END IF; RETURN NULL; END $$;
    CREATE TRIGGER delay AFTER INSERT ON bus.event REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION delay()
"""
SLOW_ALONE = """
    CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {}; RETURN new; END $$;
    CREATE TRIGGER delay BEFORE INSERT ON bus.event FOR EACH ROW
    WHEN (new.payload->>'number' = '1') EXECUTE FUNCTION delay()
"""

AT_ONCE = """
    CREATE OR REPLACE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RETURN new; END $$
"""
"""Unlike the removal of the trigger, this does not wait for a statement that is under way."""


async def send_batch(
    replica: KafkaFixture, topic: Topic, body: dict[str, object], count: int, name: bytes = b"~~"
) -> None:
    """Write *count* records in one batch of partition 1, each with a header called *name*."""
    producer = AIOKafkaProducer(
        bootstrap_servers=replica.settings.kafka_bootstrap_servers, max_batch_size=1_000_000
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        for number in range(count):
            value = encoded({**body, "number": number})
            batch.append(timestamp=None, key=None, value=value, headers=[("~~", b"1")])
        batch.close()
        data = bytearray(batch._build().replace(b"~~", name))
        data[17:21] = calc_crc32c(data[21:]).to_bytes(4)
        batch._buffer = data
        await (await producer.send_batch(batch, replica.wire_name(topic), partition=1))
    finally:
        await producer.stop()


async def numbers(replica: KafkaFixture) -> list[int]:
    """Return the numbers of the events that came in, in the order of their arrival."""
    rows = await replica.database.reads.fetch(
        "SELECT (payload->>'number')::int AS number FROM bus.event ORDER BY pos"
    )
    return [row["number"] for row in rows]


@EACH_TOPIC
@pytest.mark.parametrize(
    ("count", "turns"), [(500, [500]), (501, [1, 500]), (1_203, [203, 500, 500])]
)
async def test_a1_a_batch_decoded_by_hand_comes_in_turns(
    replica: KafkaFixture, topic: Topic, body: dict[str, object], count: int, turns: list[int]
) -> None:
    await replica.wait_until_healthy()
    # aiokafka refuses a batch for a header name that is not UTF-8.
    await send_batch(replica, topic, body, count, b"\xff\xfe")
    await wait_until(lambda: replica.holds("event", count))
    assert await numbers(replica) == [*range(count)]
    rows = await replica.database.reads.fetch(
        "SELECT count(*) AS records FROM bus.event GROUP BY xmin::text ORDER BY records"
    )
    assert [row["records"] for row in rows] == turns


@EACH_TOPIC
@EACH_DELAY
async def test_a1_records_that_take_too_long_together_are_stored_alone(
    replica: KafkaFixture, topic: Topic, body: dict[str, object], delay: str
) -> None:
    await replica.wait_until_healthy()
    await replica.database.reads.execute(SLOW_TOGETHER.format(delay))
    await send_batch(replica, topic, body, 3)
    await wait_until(lambda: replica.holds("event", 3))
    assert await numbers(replica) == [0, 1, 2]


@pytest.mark.parametrize(
    ("topic", "body", "delay"),
    [
        (Topic.DEATH_NOTIFICATION, NOTICE, DELAYS["server"]),
        (Topic.DEATH_NOTIFICATION, NOTICE, DELAYS["driver"]),
        (Topic.VERIFICATION_RESULT, RESULT, DELAYS["server"]),
    ],
    ids=["deaths by server", "deaths by driver", "results by server"],
)
async def test_a1_a_record_that_takes_too_long_keeps_its_partition_only(
    replica: KafkaFixture, topic: Topic, body: dict[str, object], delay: str
) -> None:
    async def is_failing() -> bool:
        return replica.kafka.inbox.failing_partitions.keys() == {(topic.value, 1)}

    await replica.wait_until_healthy()
    await replica.database.reads.execute(SLOW_ALONE.format(delay))
    await send_batch(replica, topic, body, 3)
    await wait_until(is_failing)
    await send_other(replica, topic, body)
    await wait_until(lambda: replica.holds("event", 2))
    assert await numbers(replica) == [0, 7]
    await replica.database.reads.execute(AT_ONCE)
    await wait_until(lambda: replica.holds("event", 4))
    assert await numbers(replica) == [0, 7, 1, 2]


async def send_other(replica: KafkaFixture, topic: Topic, body: dict[str, object]) -> None:
    """Write the record with the number 7 to partition 0."""
    async with replica.external_producer() as external_producer:
        value = encoded({**body, "number": 7})
        await external_producer.send_and_wait(replica.wire_name(topic), value, partition=0)


@EACH_TOPIC
async def test_a1_a_record_that_takes_too_long_is_named(
    replica: KafkaFixture, topic: Topic, body: dict[str, object]
) -> None:
    await replica.wait_until_healthy()
    await replica.database.reads.execute(SLOW_ALONE.format(DELAYS["server"]))
    await send_batch(replica, topic, body, 3)
    await wait_until(lambda: replica.holds("inbound_fault", 1))
    (fault,) = await InboundFaults(replica.database.bus_reads).fetch_all()
    assert (fault.location, fault.kind, fault.reason) == (
        f"{replica.wire_name(topic)}/1/1",
        "failing",
        "govid.bus.kafka.inbox.StoringTimedOut",
    )
    assert replica.kafka.inbox.health_state() == "stopped"
