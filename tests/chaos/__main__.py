"""Breaks everything that can be broken around three replicas, and then counts.

    python -m tests.chaos --seeds 200
    python -m tests.chaos --seed 42

prints one line of JSON for each seed; ends with 1 and the seed to repeat at the first that failed.
"""

import argparse
import asyncio
import sys
import tempfile
import traceback
from pathlib import Path

import msgspec

from tests.chaos.plan import plan
from tests.chaos.run import play
from tests.chaos.stage import Stage, stage


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
    folder = Path(tempfile.mkdtemp(prefix="govid-chaos-"))
    failed = []
    with stage() as it:
        for seed in seeds:
            logs = folder / str(seed)
            logs.mkdir()
            if not _well(it, seed, logs):
                failed.append(seed)
                if not options.keep_going:
                    break
    for seed in failed:
        sys.stderr.write(f"Seed {seed} failed. Again: make chaos SEED={seed} (logs: {folder})\n")
    return 1 if failed else 0


def _well(it: Stage, seed: int, logs: Path) -> bool:
    try:
        report = asyncio.run(play(it, plan(seed), logs))
    except Exception:  # noqa: BLE001 - a run that breaks the rig has to be repeated, too
        traceback.print_exc()
        return False
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()
    return report.well


if __name__ == "__main__":
    sys.exit(main())
