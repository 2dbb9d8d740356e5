"""Findings of one cause are reported in one line, with one command."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from govid.bus.operations.audit_findings import (
    AuditFinding,
    delivery_problem,
    merge_lost_findings,
    record_differs,
    record_missing,
)

FIRST = UUID("019d0000-0000-7000-8000-000000000001")
SECOND = UUID("019d0000-0000-7000-8000-000000000002")
THIRD = UUID("019d0000-0000-7000-8000-000000000003")


async def batches(*ids: UUID) -> AsyncIterator[list[AuditFinding]]:
    for event_id in ids:
        yield [delivery_problem("lost", "nhs.booking", event_id, None)]


@pytest.mark.parametrize("ids", [(FIRST, SECOND), (SECOND, FIRST), (THIRD, FIRST, SECOND)])
async def test_f17_lost_events_of_a_subscriber_are_one_finding(ids: tuple[UUID, ...]) -> None:
    (found,) = [one async for some in merge_lost_findings(batches(*ids)) for one in some]
    assert (found.count, found.event_id) == (len(ids), FIRST)
    assert found.remedy == (
        "`govid outbox backfill --subscriber nhs.booking --since 2026-03-18T08:11:33.248000+00:00 "
        "--reason '...'` delivers all that it lacks"
    )


async def test_f17_one_lost_event_is_named_by_its_id() -> None:
    (found,) = [one async for some in merge_lost_findings(batches(FIRST)) for one in some]
    assert found == delivery_problem("lost", "nhs.booking", FIRST, None)


@pytest.mark.parametrize("more", [0, 1, 312])
def test_f17_what_kafka_lost_names_the_command_that_mends_all(more: int) -> None:
    for found in (
        record_missing("t/0/7", FIRST, more),
        record_differs("t/0/7", FIRST, SECOND, more),
    ):
        assert found.count == 1 + more
        assert found.remedy.startswith("`govid outbox replay --unproved --reason '...'`")
