"""Stored facts about topics, when several replicas see them for the first time at once."""

import asyncio
from typing import Any

import asyncpg

from govid.bus.kafka.topics import QUERIES
from tests.integration.bus.harness import wait_until

TOPICS = ["a.topic", "b.topic"]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = $1"


async def test_two_replicas_that_see_new_topics_at_once_both_know_them(database_url: str) -> None:
    first: Any = await asyncpg.connect(database_url)
    second: Any = await asyncpg.connect(database_url)
    try:
        transaction = first.transaction()
        await transaction.start()
        await first.fetch(QUERIES["store_topics"], TOPICS, [4, 4])
        later = asyncio.create_task(second.fetch(QUERIES["store_topics"], TOPICS, [2, 2]))

        async def waits() -> bool:
            return bool(await first.fetchval(WAITING, second.get_server_pid()))

        await wait_until(waits)
        await transaction.commit()
        assert sorted(map(tuple, await later)) == [("a.topic", 4), ("b.topic", 4)]
    finally:
        await first.close()
        await second.close()
