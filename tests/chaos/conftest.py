"""The short run, played once, in a process of its own as `make chaos` plays a long one.

What its torn connections leave behind is then no test's affair, and it has one worker's time.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

import msgspec
import pytest

from tests.chaos.plan import SEEDS_IN_A_ROUND
from tests.chaos.run import Report

FIRST = SEEDS_IN_A_ROUND
SHORT_RUN = range(FIRST, FIRST + SEEDS_IN_A_ROUND)
"""One round of seeds: it meets every class of faults."""
PATIENCE_SECONDS = 400


@pytest.fixture(scope="session")
def reports() -> Sequence[Report]:
    """Return what was reported of each seed of the short run."""
    finished = _played(f"--first={FIRST}", f"--seeds={SEEDS_IN_A_ROUND}", "--keep-going")
    if finished.returncode == os.EX_TEMPFAIL and os.environ.get("GOVID_CI") != "1":
        pytest.skip(finished.stderr.strip())
    # Shown by pytest where a test fails.
    sys.stderr.write(finished.stderr)
    return [msgspec.json.decode(line, type=Report) for line in finished.stdout.splitlines()]


def _played(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.chaos", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            output, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
