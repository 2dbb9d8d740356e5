"""A replica with many events behind one parked key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from govid.bus import BusSettings, Database
from tests.integration.bus.harness import NAME, BusFixture, an_account, create_ledger
from tests.integration.bus.signalling_handler import SignallingHandler

PARK_A_KEY = """
    INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,
                            error_class)
    SELECT $1, key, id, 'infinity', 8, 'error', 'f', 'builtins.ValueError' FROM bus.event
"""
BLOCKED_EVENTS = """
    WITH first AS (SELECT * FROM bus.event),
    behind AS (
        INSERT INTO bus.event (id, type, version, topic, key, seq, record_key, payload, headers,
                               occurred_at)
        SELECT gen_random_uuid(), type, version, topic, key, 1 + n, record_key, payload, headers,
               occurred_at
        FROM first, generate_series(1, $2::int) n
        RETURNING id, pos, key
    )
    INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
    SELECT $1, b.pos, d.bucket, b.id, b.key
    FROM behind b JOIN bus.delivery d ON d.key = b.key AND d.subscriber = $1
"""


@asynccontextmanager
async def replica_with_blocked_key(
    settings: BusSettings, *, behind: int
) -> AsyncIterator[BusFixture]:
    """Run a replica with so many events *behind* a parked key."""
    await create_ledger(settings.database_url)
    async with Database(settings) as database:
        replica = BusFixture(settings, database, SignallingHandler())
        await replica.emit(an_account(), "stuck")
        async with database.reads.acquire() as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute(PARK_A_KEY, NAME)
            await connection.execute(BLOCKED_EVENTS, NAME, behind, timeout=60)
        async with replica.run():
            yield replica


async def measure_seconds(replica: BusFixture) -> float:
    """Return how long one event takes from its commit until it is handled."""
    listener = replica.handler
    assert isinstance(listener, SignallingHandler)
    listener.handled.clear()
    await replica.emit(an_account(), "x")
    began = perf_counter()
    await listener.handled.wait()
    return perf_counter() - began
