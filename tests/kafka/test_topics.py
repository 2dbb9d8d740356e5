"""A topic keeps the number of partitions that it had at first sight, or govid is not ready."""

from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from govid.bus import BusSettings, Database
from govid.bus.contracts import Topic
from tests.kafka.house import House, a_request, header, until

pytestmark = pytest.mark.kafka

ACCOUNT = UUID("019d0000-0000-7000-8000-000000000001")


async def test_r3_a_topic_that_was_there_keeps_its_number_of_partitions(
    kafka_settings: BusSettings,
) -> None:
    name = kafka_settings.wire_name(Topic.VERIFICATION_REQUEST)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, 7, 1)])
    async with Database(kafka_settings) as database:
        async with House(kafka_settings, database).open() as house:
            await house.emit(a_request(ACCOUNT, "before"))
            await house.drained()
            assert house.kafka.mismatches == {}
        await admin.create_partitions({name: NewPartitions(9)})
        await admin.close()
        async with House(kafka_settings, database).open() as house:
            await until(lambda: has_mismatch(house))
            assert house.kafka.mismatches == {name: (7, 9)}
            await house.emit(a_request(ACCOUNT, "after"))
            records = await house.read(Topic.VERIFICATION_REQUEST, 2)
    assert [header(record, "ce_sequence") for record in records] == ["1", "2"]
    assert len({record.partition for record in records}) == 1


async def has_mismatch(house: House) -> bool:
    return len(house.kafka.mismatches) == 1
