"""I12: no statement of the hot paths or the commands reads more partitions than it needs."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from govid.bus.delivery.backlog import QUERIES as BACKLOG_QUERIES
from govid.bus.delivery.failures import QUERIES as FAILURE_QUERIES
from govid.bus.delivery.groups import QUERIES as GROUP_QUERIES
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.kafka.kafka_ahead import QUERIES as AHEAD_QUERIES
from govid.bus.kafka.relay import QUERIES as RELAY_QUERIES
from govid.bus.operations import backfill, inspection, outbox_tail, replay, verify_outbox
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.shared.ids import first_uuid7_at, uuid7, uuid7_timestamp
from tests.integration.scale.plans import function_body, partitions_read

Arguments = Callable[[Any], Sequence[Any]]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
A_DAY = NOW - 20 * DAY


def _day(moment: datetime) -> str:
    return f"{moment:%Y%m%d}"


class _Events:
    """Three events of one day, and what the statements want to know of them."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.ids: list[UUID] = [row["id"] for row in rows]
        self.positions: list[int] = [row["pos"] for row in rows]
        self.keys: list[str] = [row["key"] for row in rows]
        self.lower = first_uuid7_at(A_DAY.replace(hour=0, minute=0, second=0, microsecond=0))
        self.upper = first_uuid7_at(uuid7_timestamp(self.lower) + DAY)

    @property
    def bounds(self) -> tuple[list[UUID], UUID, UUID]:
        return self.ids, min(self.ids), max(self.ids)


@pytest.fixture
async def events(aged: Any) -> _Events:
    """Return events of a day in the middle."""
    lower = first_uuid7_at(A_DAY.replace(hour=0, minute=0, second=0, microsecond=0))
    upper = first_uuid7_at(uuid7_timestamp(lower) + DAY)
    return _Events(
        await aged.fetch(
            "SELECT id, pos, key FROM bus.event"
            " WHERE id >= $1 AND id < $2 AND topic IS NOT NULL ORDER BY id LIMIT 3",
            lower,
            upper,
        )
    )


HOT: dict[str, tuple[str, Callable[[_Events], Sequence[Any]]]] = {
    "events": (BACKLOG_QUERIES["events"], lambda e: e.bounds),
    "relay_events": (RELAY_QUERIES["relay_events"], lambda e: e.bounds),
    "known_events": (AHEAD_QUERIES["known_events"], lambda e: e.bounds),
    "complete_delivery": (
        GROUP_QUERIES["complete_delivery"],
        lambda e: (RELAY, 0, uuid7(), 1, e.ids[0], e.positions[0], e.keys[0]),
    ),
    "complete_group": (
        GROUP_QUERIES["complete_group"],
        lambda e: (RELAY, uuid7(), [0, 1, 2], [1, 1, 1], e.ids, e.positions, e.keys),
    ),
    "relay_complete": (
        RELAY_QUERIES["relay_complete"],
        lambda e: (
            *(RELAY, uuid7(), [0], [1], e.positions, e.ids),
            *(["topic"] * 3, [0, 0, 0], [1, 2, 3]),
        ),
    ),
    "park": (
        FAILURE_QUERIES["park"],
        lambda e: (RELAY, 0, uuid7(), 1, e.keys[0], e.ids[0], 1.0, 1, "error", "f", "c"),
    ),
}


@pytest.mark.parametrize("name", HOT)
async def test_i12_statements_of_the_hot_paths_read_the_days_of_their_events(
    aged: Any, events: _Events, name: str
) -> None:
    statement, arguments = HOT[name]
    read = await partitions_read(aged, statement, arguments(events))
    assert read <= {f"event_{_day(A_DAY)}", f"receipt_{_day(A_DAY)}"}


COMMANDS: dict[str, tuple[str, Callable[[_Events], Sequence[Any]]]] = {
    "outbox list": (
        inspection.QUERIES["deliveries"],
        lambda e: (e.lower, e.upper, None, None, None, None, None, None, False, [RELAY], 50),
    ),
    "outbox show": (inspection.QUERIES["event"], lambda e: (e.ids[0],)),
    "verify, events": (verify_outbox.QUERIES["chunk"], lambda e: (e.lower, e.upper, 5000)),
    "verify, delivery states": (
        verify_outbox.QUERIES["delivery_states"],
        lambda e: (e.lower, e.upper, min(e.positions), max(e.positions), [], [], UUID(int=0)),
    ),
    "verify, ends": (
        verify_outbox.QUERIES["ends"],
        lambda e: (e.lower, e.upper, UUID(int=0)),
    ),
    "verify, orphans": (verify_outbox.QUERIES["orphans"], lambda e: (e.lower, e.upper)),
    "verify, gaps": (verify_outbox.QUERIES["gaps"], lambda e: (e.lower, e.upper, UUID(int=0))),
    "outbox replay": (
        replay._BATCH,
        lambda e: (
            *DeliveryFilter().query_parameters(),
            -1,
            "",
            max(e.positions),
            *e.bounds[1:],
            500,
        ),
    ),
    "outbox backfill": (
        backfill._CANDIDATES,
        lambda e: (
            *DeliveryFilter(subscriber="hmrc.verification").query_parameters(),
            *(["identity.verification.requested"], 0, max(e.positions), *e.bounds[1:]),
        ),
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_i2_i4_i12_statements_about_a_day_read_that_day(
    aged: Any, events: _Events, name: str
) -> None:
    statement, arguments = COMMANDS[name]
    read = await partitions_read(aged, statement, arguments(events))
    assert read <= {f"event_{_day(A_DAY)}", f"receipt_{_day(A_DAY)}"}


async def test_i12_retention_asks_about_a_day_from_that_day_alone(
    aged: Any, events: _Events
) -> None:
    statement = await function_body(aged, "is_event_range_needed")
    assert await partitions_read(aged, statement, (events.lower, events.upper)) == {
        f"event_{_day(A_DAY)}"
    }


@pytest.mark.parametrize("days", [1, 3, 10])
async def test_i7_a_tail_of_the_last_days_reads_no_older_ones(aged: Any, days: int) -> None:
    since = NOW - days * DAY
    read = await partitions_read(aged, outbox_tail.FIRST_SINCE, [first_uuid7_at(since), 10])
    assert f"event_{_day(since - DAY)}" not in read


async def test_the_measure_sees_a_statement_that_reads_all_days(aged: Any) -> None:
    read = await partitions_read(
        aged, "SELECT count(*) FROM bus.event WHERE id = ANY($1::uuid[])", [[uuid4()]]
    )
    assert len(read) > 90
