"""Determines the number of CPUs that this process may use, also in a container."""

import math
import os
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cpu_count(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the smaller of the CPU affinity and the CPU quota of the control group, at least 1.

    A fractional quota is rounded up. The quotas of all parent groups apply too.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [_read_quota_v2(folder) for folder in _cgroup_folders(groups, membership)]
    quotas.append(_read_quota_v1(groups))
    return max(1, min(allowed or 1, *(math.ceil(quota) for quota in quotas if quota), 1_000_000))


def _cgroup_folders(groups: Path, membership: Path) -> list[Path]:
    """Return the folders of this process's control group (version 2) and of its parents."""
    try:
        lines = membership.read_text("utf-8").splitlines()
    except OSError:
        return [groups]
    own = [line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")]
    place = groups / own[0] if own else groups
    return [place, *(one for one in place.parents if one.is_relative_to(groups))]


def _read_quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text("utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number: there is no limit.
        return None


def _read_quota_v1(groups: Path) -> float | None:
    folder = groups / "cpu"
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
        period = int((folder / "cpu.cfs_period_us").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None
