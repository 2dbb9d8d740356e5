"""Reading topics to where they end now."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from govid.bus.contracts import Topic
from govid.bus.kafka.tail import publish, watching
from tests.kafka.house import House, a_request


async def test_it_ends_at_the_newest_record_that_was_there(house: House) -> None:
    await house.emit(*(a_request(uuid4(), label) for label in "123"))
    await house.drained()
    address = house.settings.kafka_bootstrap_servers
    full, empty = house.wire(Topic.VERIFICATION_REQUEST), house.wire(Topic.VERIFICATION_RESULT)
    ago = datetime.now(UTC) - timedelta(hours=1)
    async with (
        asyncio.timeout(30),
        watching(address, [full, empty], since=ago, from_start=False, to_end=True) as records,
    ):
        await publish(address, full, "later", b"later")
        assert [record.topic async for record in records] == [full] * 3
