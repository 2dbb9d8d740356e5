"""Load by `wrk`: one thread, 32 connections, a different account with each request."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.backends.processes import CLIENT_CORE, pinned

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("wrk.lua")


class Load(NamedTuple):
    """What one run of wrk saw."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def run(url: str, tokens: Path, seconds: int, connections: int = CONNECTIONS) -> Load:
    """Load *url* for some seconds.

    Raises:
        RuntimeError: wrk is missing, or a request did not get its 200.
    """
    if not shutil.which("wrk"):
        raise RuntimeError("the benchmark needs wrk (Debian: apt-get install wrk)")
    finished = subprocess.run(
        pinned(
            CLIENT_CORE,
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", SCRIPT, url, "--", tokens),
        ),
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    )
    seen = json.loads(finished.stdout.strip().splitlines()[-1])
    if seen["failed"] or not seen["requests"]:
        raise RuntimeError(f"{url}: {seen['failed']} of {seen['requests']} requests failed")
    return Load(seen["requests"] / seen["seconds"], seen["p50_ms"], seen["p99_ms"])
