"""Which delivery becomes a dead letter."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from govid.bus import Database, uuid7
from govid.bus.delivery.failures import DeliveryFailure, FailureRecorder
from govid.bus.delivery.subscriptions import BUCKETS
from govid.bus.metrics import BusMetrics
from tests.integration.bus.harness import NAME, BusFixture, an_account, wait_until

FAILURE = DeliveryFailure(reason="undecodable", error_class="x", fingerprint="x")


@pytest.fixture
async def recorder(replica: BusFixture, database: Database) -> AsyncIterator[FailureRecorder]:
    """Return the recorder of a replica that has all leases, and handles nothing."""

    async def owns_all() -> bool:
        return len(replica.leases.owned_epochs(NAME)) == BUCKETS

    task = asyncio.create_task(replica.leases.run())
    await wait_until(owns_all)
    yield FailureRecorder(NAME, replica.settings, database, replica.leases, BusMetrics())
    task.cancel()
    await asyncio.wait([task])


async def test_a_delivery_becomes_a_dead_letter_only_if_it_is_of_the_event_that_failed(
    replica: BusFixture, recorder: FailureRecorder
) -> None:
    await replica.emit(an_account(), "kept")
    row = await replica.database.reads.fetchrow(
        "SELECT bucket, event_id, pos FROM bus.delivery WHERE subscriber = $1", NAME
    )
    counts = []
    # A promoted standby may have another event at the position of one that it never received.
    for event_id in (uuid7(), row["event_id"]):
        await recorder.park_or_dead_letter(
            FAILURE,
            bucket=row["bucket"],
            epoch=replica.leases.owned_epochs(NAME)[row["bucket"]],
            key=f"@{event_id}",
            event_id=event_id,
            pos=row["pos"],
            ordered=False,
        )
        counts.append((await replica.count("dead"), await replica.count_pending()))
    assert counts == [(0, 1), (1, 0)]
