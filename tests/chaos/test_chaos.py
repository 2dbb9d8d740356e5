"""Whatever breaks: nothing is lost, doubled, out of order or stuck, and verify says so too."""

from pathlib import Path

import pytest

from tests.chaos.plan import SEEDS_IN_A_ROUND, Kind, plan
from tests.chaos.run import play
from tests.chaos.stage import Stage

ROUND = 1
SEEDS = range(ROUND * SEEDS_IN_A_ROUND, (ROUND + 1) * SEEDS_IN_A_ROUND)

pytestmark = [pytest.mark.kafka, pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_short_run_meets_every_class_of_faults() -> None:
    met = set().union(*(plan(seed).kinds for seed in SEEDS))
    assert met == set(Kind)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_promise_is_kept_under_the_faults_of(
    seed: int, chaos_stage: Stage, tmp_path: Path
) -> None:
    report = await play(chaos_stage, plan(seed), tmp_path)
    assert report.well, report
    assert report.events >= 500
    assert len(report.faults) >= 3
