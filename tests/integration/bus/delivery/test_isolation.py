"""Requirement 8: deliveries behind a parked key do not delay other keys.

By how much the others' latency grows is measured by `make bench` (isolation).
"""

from collections.abc import AsyncIterator

import pytest

from govid.bus import BusSettings
from tests.integration.bus.blocked_key_backlog import replica_with_blocked_key
from tests.integration.bus.harness import BusFixture, an_account, wait_until

EVENTS = 20
BEHIND = 100_000


@pytest.fixture
async def burdened(bus_settings: BusSettings) -> AsyncIterator[BusFixture]:
    """Return a replica with a flood behind a parked key."""
    async with replica_with_blocked_key(bus_settings, behind=BEHIND) as replica:
        yield replica


async def test_r8_reads_begin_behind_100_000_events_that_wait_for_an_operator(
    burdened: BusFixture,
) -> None:
    floor = burdened.dispatcher._backlog._watermark

    async def is_past_the_flood() -> bool:
        return floor.position > BEHIND // 2

    await wait_until(is_past_the_flood)
    for _ in range(EVENTS):
        await burdened.emit(an_account(), "x")

    async def is_through() -> bool:
        return await burdened.labels() == ["x"] * EVENTS

    await wait_until(is_through)
    assert await burdened.count_pending() == 1 + BEHIND
