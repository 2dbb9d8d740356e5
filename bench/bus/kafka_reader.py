"""Measures when the records of a topic arrive at a consumer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time

from aiokafka import AIOKafkaConsumer

SECONDS = 20


class Arrivals:
    """The moment of each record's arrival, by its id."""

    def __init__(self) -> None:
        """Know of none."""
        self._seen: dict[str, float] = {}

    async def note(self, consumer: AIOKafkaConsumer) -> None:
        """Read until cancelled."""
        async for record in consumer:
            self._seen[dict(record.headers)["ce_id"].decode()] = time()

    async def all(self, count: int) -> dict[str, float]:
        """Wait until *count* records have arrived, and return when each did."""
        async with asyncio.timeout(SECONDS):
            while len(self._seen) < count:  # noqa: ASYNC110 - it is another task that counts
                await asyncio.sleep(0.02)
        return self._seen


@asynccontextmanager
async def reading(address: str, topic: str, wanted: bool) -> AsyncIterator[Arrivals | None]:
    """Read *topic* for the length of the block, if that is *wanted*."""
    if not wanted:
        yield None
        return
    arrivals = Arrivals()
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        task = asyncio.create_task(arrivals.note(consumer))
        try:
            yield arrivals
        finally:
            task.cancel()
            await asyncio.wait([task])
