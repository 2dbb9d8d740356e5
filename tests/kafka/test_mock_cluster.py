"""The wire of the in-memory cluster that `govid dev` uses. No claim about Kafka rests on it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from tests.kafka.conftest import on
from tests.kafka.fixtures import KafkaFixture, a_request, header, wait_until
from tests.kafka.test_inbox import NOTICE, encoded


@pytest.fixture
async def mock_replica(bus_settings: BusSettings, mock_cluster: str) -> AsyncIterator[KafkaFixture]:
    """Return a replica that runs on the in-memory cluster."""
    settings = msgspec.structs.replace(on(mock_cluster, bus_settings), kafka_generation="g1")
    async with Database(settings) as database, KafkaFixture(settings, database).run() as replica:
        yield replica


async def test_events_go_out_and_notices_come_in(mock_replica: KafkaFixture) -> None:
    replica, account = mock_replica, uuid4()
    await replica.emit(a_request(account, "1"), a_request(account, "2"))
    records = await replica.read(Topic.VERIFICATION_REQUEST, 2)
    assert [header(record, "ce_sequence") for record in records] == ["1", "2"]
    async with replica.external_producer() as producer:
        await producer.send_and_wait(
            replica.wire_name(Topic.DEATH_NOTIFICATION), encoded(NOTICE), partition=0
        )
    await wait_until(lambda: has_come_in(replica))
    assert await replica.database.reads.fetchval("SELECT foreign_id FROM bus.inbox") == (
        f"g1/{replica.wire_name(Topic.DEATH_NOTIFICATION)}/0/0"
    )


async def test_topics_get_the_default_number_of_partitions(mock_replica: KafkaFixture) -> None:
    await mock_replica.wait_until_healthy()
    counts = await mock_replica.database.reads.fetch("SELECT partitions FROM bus.topic")
    assert [row["partitions"] for row in counts] == [4] * 10
    assert mock_replica.kafka.mismatches == {}


async def has_come_in(replica: KafkaFixture) -> bool:
    return await replica.count("inbox") == 1
