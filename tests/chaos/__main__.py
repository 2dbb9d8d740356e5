"""Injects faults around three replicas, and then compares what was promised with what happened.

    python -m tests.chaos --seeds 200
    python -m tests.chaos --seed 42

prints one line of JSON for each seed; ends with 1 and the seed to repeat at the first that failed,
and with 75 if no Kafka, or no PostgreSQL of Debian, can be started.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.backends import kafka
from tests.backends.debian_postgres import missing
from tests.chaos.plan import plan
from tests.chaos.run import run_plan
from tests.chaos.shared_backends import SharedBackends, shared_backends


def main() -> int:
    """Play the seeds that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--seeds", type=int, default=200, help="how many to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--keep-going", action="store_true", help="play all, whatever happens")
    options = parser.parse_args()
    seeds = [options.seed] if options.seed is not None else range(
        options.first, options.first + options.seeds
    )  # fmt: skip
    if lacking := missing():
        sys.stderr.write(f"A PostgreSQL with TLS needs {', '.join(lacking)}.\n")
        return os.EX_TEMPFAIL
    # Asked to end, it leaves no server behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="govid-chaos-"))
    try:
        with shared_backends() as it:
            failed = _play(it, seeds, folder, keep_going=options.keep_going)
    except kafka.Unavailable as reason:
        sys.stderr.write(f"{reason}\n")
        return os.EX_TEMPFAIL
    for seed in failed:
        sys.stderr.write(f"Seed {seed} failed. Again: make chaos SEED={seed} (logs: {folder})\n")
    return 1 if failed else 0


def _play(it: SharedBackends, seeds: Sequence[int], folder: Path, *, keep_going: bool) -> list[int]:
    failed = []
    for seed in seeds:
        logs = folder / str(seed)
        logs.mkdir()
        if not _well(it, seed, logs):
            failed.append(seed)
            if not keep_going:
                break
    return failed


def _well(it: SharedBackends, seed: int, logs: Path) -> bool:
    try:
        report = asyncio.run(run_plan(it, plan(seed), logs))
    except Exception:  # noqa: BLE001 - a run that breaks the rig has to be repeated, too
        traceback.print_exc()
        return False
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()
    return report.well


if __name__ == "__main__":
    sys.exit(main())
