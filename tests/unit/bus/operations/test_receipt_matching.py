"""A receipt is matched with its record, whatever other receipts name the same offset."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from govid.bus.operations.receipt_matching import ReceiptMatcher
from govid.bus.shared.ids import uuid7

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW, OTHER = uuid7(), uuid7(), uuid7()


class Cursor:
    """Receipts in the order of their offsets."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = list(rows)

    async def fetch(self, count: int) -> Sequence[Any]:
        rows, self._rows = self._rows[:count], self._rows[count:]
        return rows


def record(offset: int, event_id: Any) -> Any:
    headers = [("ce_id", str(event_id).encode()), ("ce_source", b"/govid/nhs")]
    return SimpleNamespace(offset=offset, headers=headers)


@pytest.mark.parametrize("claimed", [(OLD, NEW), (NEW, OLD), (OLD, NEW, OTHER), (OTHER, OLD, NEW)])
async def test_a8_a_topic_that_was_created_again_has_two_claims_on_one_place(
    claimed: tuple[Any, ...],
) -> None:
    rows = [(event_id, 0, MOMENT) for event_id in claimed]
    claims = ReceiptMatcher("t/0", Cursor([*rows, (OTHER, 1, MOMENT)]), [])
    _, ids = await claims.match([record(0, NEW), record(1, OTHER)])
    await claims.finish()
    assert claims.matched_count == 2
    assert claims.unmatched == []
    assert {one.receipt.event_id for one in claims.mismatches} == {*claimed} - {NEW}
    assert ids == {*claimed, OTHER}
