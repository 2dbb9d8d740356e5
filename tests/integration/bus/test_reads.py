"""Requirement 3 at the reads of the backlog: a key is read from its first event, or not at all."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from govid.bus import BusSettings
from govid.bus.consumers import BUCKETS, RELAY
from govid.bus.kafka.sql import QUERIES as RELAY_QUERIES
from govid.bus.sql import QUERIES
from tests.integration.bus.harness import NAME, House, an_account

BUCKET_NUMBERS = list(range(BUCKETS))

# A clock that says a second more at each look: the time that a slow read takes.
HURRY = """
    CREATE SCHEMA hurry;
    CREATE SEQUENCE hurry.looks;
    CREATE FUNCTION hurry.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        RETURN pg_catalog.clock_timestamp() + nextval('hurry.looks') * interval '1 second';
    SET search_path = hurry, pg_catalog;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
"""
PARK = """
    INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,
                            error_class)
    SELECT d.subscriber, d.key, d.event_id, clock_timestamp() + interval '3.5 seconds',
           1, 'error', 'f', 'builtins.ValueError'
    FROM bus.delivery d JOIN bus.event e ON e.id = d.event_id WHERE e.seq = 1
"""


@pytest.fixture
async def hurried(bus_settings: BusSettings) -> AsyncIterator[Any]:
    """Return a connection whose clock runs while a statement does."""
    connection: Any = await asyncpg.connect(bus_settings.database_url)
    await connection.execute(HURRY)
    yield connection
    await connection.close()


async def test_r3_a_key_whose_pause_ends_during_a_read_waits_for_the_next(
    house: House, hurried: Any
) -> None:
    await house.emit(an_account(), *"abcdef")
    await house.database.reads.execute(PARK)
    rows = await hurried.fetch(QUERIES["backlog"], NAME, BUCKET_NUMBERS, [], 10, 0)
    relayed = await hurried.fetch(
        RELAY_QUERIES["relay_backlog"], RELAY, BUCKET_NUMBERS, [], [], 10, 0
    )
    assert (rows, relayed) == ([], [])
