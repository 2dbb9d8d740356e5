"""Dead rows that VACUUM cannot remove yet, in front of all pending deliveries."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from govid.bus import BusSettings, Database
from govid.bus.delivery.subscriptions import RELAY
from tests.integration.bus.harness import NAME


@asynccontextmanager
async def dead_rows(settings: BusSettings, database: Database, rows: int) -> AsyncIterator[None]:
    """Leave *rows* dead rows for module and relay: an open transaction still sees them."""
    async with (
        open_unbounded_connection(settings) as other,
        other.transaction(isolation="repeatable_read"),
        database.reads.acquire() as connection,
    ):
        await other.fetchval("SELECT count(*) FROM bus.delivery")
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(
            "INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)"
            " SELECT s, n, n % 64, gen_random_uuid(), 'key/' || n"
            " FROM generate_series(1, $2::int) n, unnest($1::text[]) s",
            [NAME, RELAY],
            rows,
            timeout=60,
        )
        await connection.execute("DELETE FROM bus.delivery", timeout=60)
        await connection.execute("SELECT setval('bus.event_position', $1)", rows)
        await connection.execute("RESET statement_timeout")
        yield


@asynccontextmanager
async def open_unbounded_connection(settings: BusSettings) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection without any timeout, whose transactions stay open."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        yield connection
    finally:
        await connection.close()
