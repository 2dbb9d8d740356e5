"""Under every fault nothing is lost, duplicated, out of order or stuck, and verify agrees."""

from collections.abc import Sequence

import pytest

from tests.chaos.conftest import SHORT_RUN
from tests.chaos.plan import Kind, plan
from tests.chaos.run import Report


def test_the_short_run_meets_every_class_of_faults() -> None:
    assert set().union(*(plan(seed).kinds for seed in SHORT_RUN)) == set(Kind)


@pytest.mark.kafka
@pytest.mark.database
@pytest.mark.slow
@pytest.mark.timeout(430)
def test_every_promise_is_kept_whatever_breaks(reports: Sequence[Report]) -> None:
    assert [report for report in reports if not report.well] == []
    assert [report.seed for report in reports] == list(SHORT_RUN)
    assert min(report.events for report in reports) >= 500
    assert min(len(report.faults) for report in reports) >= 3
