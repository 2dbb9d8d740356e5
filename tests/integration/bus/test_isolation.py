"""Requirement 8: how little the others notice of a key that stands still."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import msgspec
import pytest

from govid.bus import BusSettings, Database
from tests.backends import postgres
from tests.integration.bus.harness import NAME, House, an_account, create_ledger
from tests.integration.bus.test_wake import Listener, seconds

RUNS = 5
EVENTS_A_RUN = 100
BEHIND = 100_000

PARK_A_KEY = """
    INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,
                            error_class)
    SELECT $1, key, id, 'infinity', 8, 'error', 'f', 'builtins.ValueError' FROM bus.event
"""
FLOOD = """
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
async def a_house(settings: BusSettings, *, behind: int) -> AsyncIterator[House]:
    """Run a replica that has so many events *behind* a key that an operator has to decide about."""
    await create_ledger(settings.database_url)
    async with Database(settings) as database:
        house = House(settings, database, Listener())
        await house.emit(an_account(), "stuck")
        async with database.reads.acquire() as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute(PARK_A_KEY, NAME)
            await connection.execute(FLOOD, NAME, behind, timeout=60)
        async with house.running():
            yield house


@pytest.fixture
async def free(bus_settings: BusSettings) -> AsyncIterator[House]:
    """Return a replica with one parked key and nothing behind it."""
    async with a_house(bus_settings, behind=0) as house:
        yield house


@pytest.fixture
async def burdened(
    bus_settings: BusSettings, postgres_server: str, template: str
) -> AsyncIterator[House]:
    """Return a replica, on a database of its own, with a flood behind a parked key."""
    url = await postgres.clone(postgres_server, template)
    async with a_house(
        msgspec.structs.replace(bus_settings, database_url=url), behind=BEHIND
    ) as one:
        yield one
    await postgres.drop(postgres_server, url)


async def test_r8_other_keys_hardly_notice_100_000_events_behind_a_parked_one(
    free: House, burdened: House
) -> None:
    ratios = [await compared(burdened, free) for _ in range(RUNS)]
    assert median(ratios) < 1.1
    assert await burdened.owed() == 1 + BEHIND
    assert await burdened.labels() == ["x"] * RUNS * EVENTS_A_RUN


async def compared(one: House, other: House) -> float:
    """Return the ratio of the median latencies, event by event in turn: both bear the same load."""
    pairs = [(await latency(one), await latency(other)) for _ in range(EVENTS_A_RUN)]
    ones, others = zip(*pairs, strict=True)
    return median(ones) / median(others)


async def latency(house: House) -> float:
    listener = house.handler
    assert isinstance(listener, Listener)
    return await seconds(house, listener)
