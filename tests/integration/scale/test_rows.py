"""I3 to I11: statements read the rows that they need, however many others there are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from govid.bus.delivery import pending_counts
from govid.bus.delivery.groups import QUERIES
from govid.bus.delivery.pending_counts import count_pending
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.kafka.relay import QUERIES as KAFKA
from govid.bus.operations import inspection
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.inspection import OutboxInspection
from govid.bus.shared.ids import first_uuid7_at, uuid7
from govid.bus.storage.partitions import QUERIES as RETENTION
from govid.bus.storage.quotas import QuotaCounters
from govid.identity.repository import login_lockouts
from tests.integration.scale.conftest import PENDING
from tests.integration.scale.plans import function_body, rows_read, scans

NOW = datetime.now(UTC)
ME = uuid7()


@pytest.fixture
async def owner(aged: Any) -> AsyncIterator[Any]:
    """Return a connection in a transaction that holds all leases, as the bus's pool plans."""
    await aged.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    transaction = aged.transaction()
    await transaction.start()
    await aged.execute("UPDATE bus.lease SET owner = $1, epoch = 1", ME)
    yield aged
    await transaction.rollback()


def _group(rows: Sequence[Any]) -> Sequence[Any]:
    return (
        *(RELAY, ME, [r["bucket"] for r in rows], [1] * len(rows)),
        *([r["event_id"] for r in rows], [r["pos"] for r in rows], [r["key"] for r in rows]),
    )


def _acknowledged(rows: Sequence[Any]) -> Sequence[Any]:
    buckets = sorted({r["bucket"] for r in rows})
    return (
        *(RELAY, ME, buckets, [1] * len(buckets)),
        *([r["pos"] for r in rows], [r["event_id"] for r in rows], ["t"] * len(rows)),
        *([0] * len(rows), list(range(len(rows)))),
    )


@pytest.mark.parametrize("size", [1, 4, 16])
@pytest.mark.parametrize(
    ("statement", "arguments"),
    [(QUERIES["complete_group"], _group), (KAFKA["relay_complete"], _acknowledged)],
    ids=["complete_group", "relay_complete"],
)
async def test_i3_a_batch_is_completed_without_reading_what_is_pending_beside_it(
    owner: Any, statement: str, arguments: Callable[[Sequence[Any]], Sequence[Any]], size: int
) -> None:
    rows = await owner.fetch(
        "SELECT * FROM bus.delivery WHERE subscriber = $1 ORDER BY pos LIMIT $2", RELAY, size
    )
    # Once to find each row's place, and once to delete it.
    assert await rows_read(owner, statement, arguments(rows), "delivery") == 2 * size


async def test_i3_what_an_operator_discards_meanwhile_is_waited_for_and_left_alone(
    ninety_days: str, owner: Any
) -> None:
    rows = await owner.fetch(
        "SELECT * FROM bus.delivery WHERE subscriber = $1 ORDER BY pos DESC LIMIT 2", RELAY
    )
    operator = await asyncpg.connect(ninety_days)
    discarding = operator.transaction()
    await discarding.start()
    await operator.execute("DELETE FROM bus.delivery WHERE pos = $1", rows[0]["pos"])
    completing = asyncio.create_task(owner.fetchval(KAFKA["relay_complete"], *_acknowledged(rows)))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(10):
        while not await operator.fetchval(waiting):
            await asyncio.sleep(0.01)
    await discarding.commit()
    await operator.close()
    assert await completing is True
    left = await owner.fetchval(
        "SELECT count(*) FROM bus.delivery WHERE pos = ANY($1)", [r["pos"] for r in rows]
    )
    assert left == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM identity.session WHERE account_id = $1",
        "SELECT id FROM identity.session WHERE account_id = $1 AND revoked_at IS NULL",
        "DELETE FROM identity.session WHERE account_id = $1",
    ],
)
async def test_i5_the_sessions_of_an_account_are_found_by_index(aged: Any, statement: str) -> None:
    assert [one.get("Index Name") for one in await scans(aged, statement, [uuid4()])] == [
        "session_account_id_idx"
    ]


@pytest.mark.parametrize(("counted", "is_estimate"), [(PENDING // 5, True), (10 * PENDING, False)])
async def test_i6_i8_many_pending_deliveries_are_estimated_and_few_are_counted(
    aged: Any, monkeypatch: pytest.MonkeyPatch, counted: int, is_estimate: bool
) -> None:
    monkeypatch.setattr(pending_counts, "EXACT_COUNT_LIMIT", counted)
    monkeypatch.setattr(pending_counts, "SAMPLED_PAGES", 3)
    (relay,) = [
        one for one in await OutboxInspection(aged).fetch_status() if one.subscriber == RELAY
    ]
    assert relay.is_estimate is is_estimate
    assert (relay.pending > counted) is is_estimate


async def test_i6_an_estimate_that_reads_every_page_is_exact(
    aged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_counts, "EXACT_COUNT_LIMIT", 10)
    counts = await count_pending(aged, [RELAY, "nobody"])
    expected = await aged.fetchval("SELECT count(*) FROM bus.delivery")
    assert (counts[RELAY].deliveries, counts[RELAY].is_estimate) == (expected, False)
    assert (counts["nobody"].deliveries, counts["nobody"].is_estimate) == (0, False)


@pytest.mark.parametrize("counted", [0, 10, 100])
async def test_i8_counting_reads_no_more_rows_than_its_limit(aged: Any, counted: int) -> None:
    read = await rows_read(aged, pending_counts.QUERIES["counts"], [[RELAY], counted], "delivery")
    assert read == counted + 1


@pytest.mark.parametrize(
    "statement",
    [
        login_lockouts._DELETE_STALE,
        *(QuotaCounters(f"{schema}.quota")._delete_sql for schema in ("identity", "nhs", "hmrc")),
    ],
    ids=["throttle", "identity", "nhs", "hmrc"],
)
async def test_i9_counters_that_are_over_are_deleted_without_a_scan(
    aged: Any, statement: str
) -> None:
    await aged.execute("SET enable_seqscan = off")
    read = await scans(aged, statement, [500])
    assert sorted({one["Node Type"] for one in read} - {"ModifyTable"}) == [
        "Index Scan",
        "Tid Scan",
    ]


@pytest.mark.parametrize("days_ago", [1, 30, 80])
async def test_i11_retention_asks_by_index_what_is_pending_of_a_day(
    aged: Any, days_ago: int
) -> None:
    lower = first_uuid7_at(NOW - timedelta(days=days_ago))
    upper = first_uuid7_at(NOW - timedelta(days=days_ago - 0.5))
    statement = await function_body(aged, "is_event_range_needed")
    # The names of the subscribers cost two look-ups each.
    assert await rows_read(aged, statement, [lower, upper], "delivery") <= 4


async def test_i11_a_day_with_something_pending_is_needed(aged: Any) -> None:
    lower, upper = first_uuid7_at(NOW - timedelta(hours=1)), UUID(int=2**128 - 1)
    assert await aged.fetchval(RETENTION["is_range_needed"], "event", lower, upper) is True
    assert await aged.fetchval(RETENTION["is_range_needed"], "event", UUID(int=0), lower) is False


@pytest.mark.parametrize(
    "selection",
    [
        DeliveryFilter(),
        DeliveryFilter(type="identity.verification.requested"),
        DeliveryFilter(topic="identity.verification.request", subscriber=RELAY),
        DeliveryFilter(since=NOW - timedelta(days=40), until=NOW - timedelta(days=30)),
    ],
    ids=["all", "type", "topic", "time"],
)
async def test_i1_the_newest_deliveries_are_found_in_the_order_of_their_events(
    aged: Any, selection: DeliveryFilter
) -> None:
    lines = await OutboxInspection(aged).fetch_deliveries(selection, limit=40)
    expected = await aged.fetch(
        """SELECT e.id, f.subscriber FROM bus.event e
           JOIN (SELECT subscriber, event_id FROM bus.receipt
                 UNION SELECT subscriber, event_id FROM bus.delivery) f ON f.event_id = e.id
           WHERE ($1::text IS NULL OR type = $1) AND ($2::text IS NULL OR topic = $2)
             AND ($3::text IS NULL OR subscriber = $3)
             AND ($4::uuid IS NULL OR id >= $4) AND ($5::uuid IS NULL OR id < $5)
           ORDER BY pos DESC, subscriber LIMIT 40""",
        *selection.query_parameters()[2:],
    )
    assert [(one.id, one.subscriber) for one in lines] == [tuple(row) for row in expected]


async def test_i1_a_search_for_what_is_rare_ends_in_time_and_says_how_far_it_came(
    aged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "SEARCH_SECONDS", 0)
    searching = OutboxInspection(aged)
    assert await searching.fetch_deliveries(DeliveryFilter(type="no.such.type")) == []
    assert searching.searched_since is not None
    assert NOW - timedelta(hours=2) < searching.searched_since < datetime.now(UTC)


@pytest.mark.parametrize(
    "selection",
    [
        DeliveryFilter(ids=[uuid4()]),
        DeliveryFilter(key="account/nobody"),
        DeliveryFilter(until=NOW - timedelta(days=400)),
    ],
    ids=["id", "key", "time"],
)
async def test_i1_a_search_for_what_is_not_there_is_through_at_once(
    aged: Any, selection: DeliveryFilter
) -> None:
    searching = OutboxInspection(aged)
    assert await searching.fetch_deliveries(selection) == []
    assert searching.searched_since is None
