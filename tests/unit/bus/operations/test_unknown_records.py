"""Records that an operator has accepted are not reported as Kafka being ahead."""

from uuid import UUID

import pytest

from govid.bus.operations.receipt_matching import SeenRecord, UnknownRecords
from govid.bus.shared.ids import uuid7

IDS = sorted(uuid7() for _ in range(6))
AFTER = UUID(int=2**128 - 1)


def find_unknown(accepted: int, *, known: int = 2) -> list[tuple[str, str | None]]:
    """Return problem and place where the records behind the first *known* are strangers."""
    strangers = UnknownRecords("t/0", IDS[0], AFTER, accepted_end=accepted)
    records = [SeenRecord(offset, event_id) for offset, event_id in enumerate(IDS)]
    strangers.check(records[:3], IDS[:known])
    strangers.check(records[3:], IDS[:known])
    return [(one.problem, one.place) for one in strangers.build_findings()]


@pytest.mark.parametrize(
    ("accepted", "findings"),
    [
        (0, [("kafka_ahead", "t/0/2")]),
        (2, [("kafka_ahead", "t/0/2")]),
        (4, [("record_unknown", "t/0/2"), ("kafka_ahead", "t/0/4")]),
        (6, [("record_unknown", "t/0/2")]),
        (9, [("record_unknown", "t/0/2")]),
    ],
)
def test_a14_what_was_accepted_is_unknown_and_not_ahead(
    accepted: int, findings: list[tuple[str, str]]
) -> None:
    assert find_unknown(accepted) == findings


@pytest.mark.parametrize("accepted", [0, 4, 9])
def test_a14_what_is_known_is_no_finding(accepted: int) -> None:
    assert find_unknown(accepted, known=6) == []
