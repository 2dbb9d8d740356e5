"""Affinity and the control group's quota decide how many processors there are."""

import os
from pathlib import Path

import pytest

from govid.gateway.settings.cpu_count import usable_cpu_count


@pytest.fixture(autouse=True)
def _eight_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("files", "group", "processors"),
    [
        ({}, "0::/", 8),
        ({"cpu.max": "max 100000"}, "0::/", 8),
        ({"cpu.max": "100000 100000"}, "0::/", 1),
        ({"cpu.max": "250000 100000"}, "0::/", 3),
        ({"cpu.max": "50000 100000"}, "0::/", 1),
        ({"cpu.max": "6400000 100000"}, "0::/", 8),
        ({"pod/cpu.max": "200000 100000", "cpu.max": "max 100000"}, "0::/pod", 2),
        ({"pod/app/cpu.max": "max 100000", "pod/cpu.max": "200000 100000"}, "0::/pod/app", 2),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu:/", 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu:/", 8),
        ({"cpu.max": "nonsense"}, "0::/", 8),
    ],
)
def test_f16_the_smallest_limit_counts(
    tmp_path: Path, files: dict[str, str], group: str, processors: int
) -> None:
    groups = tmp_path / "cgroup"
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(f"{text}\n")
    membership = tmp_path / "self"
    membership.write_text(f"{group}\n")
    assert usable_cpu_count(groups, membership) == processors


@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_f16_the_affinity_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    assert usable_cpu_count(tmp_path, tmp_path / "none") == allowed
