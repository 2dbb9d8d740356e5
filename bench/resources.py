"""Measures what govid takes before its first request: time to start, and memory at rest."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.backends import backends, govid
from tests.backends.govid import Govid
from tests.backends.ports import free_port
from tests.backends.processes import Server

STARTS = 3
REST_SECONDS = 5


def measure(folder: Path) -> dict[str, Any]:
    """Start everything a few times; return medians."""
    with backends() as where, govid(where, folder, "govid") as server:
        time.sleep(REST_SECONDS)
        resident = server.resident_mb()
        serves = [server.ready_seconds, *(_again(server) for _ in range(STARTS - 1))]
    fresh, again = zip(*(_dev(folder / f"dev-{n}") for n in range(STARTS)), strict=True)
    return {
        "resident_mb": round(resident, 1),
        "serve_ready_seconds": round(median(serves), 2),
        "dev_ready_seconds": round(median(fresh), 2),
        "dev_ready_again_seconds": round(median(again), 2),
        "help_seconds": round(median(_help(folder) for _ in range(STARTS)), 2),
        "kafka": where.has_kafka,
    }


def _again(server: Govid) -> float:
    server.stop()
    server.start()
    return server.ready_seconds


def _dev(folder: Path) -> tuple[float, float]:
    """Return how long `govid dev` takes from an empty folder, and with what that start has left."""
    folder.mkdir()
    port = free_port()
    server = Server(
        [sys.executable, "-m", "govid", "dev"],
        log=folder / "log",
        environment={"GOVID_PORT": str(port), "GOVID_DATA_DIR": str(folder / "state")},
        ready=f"http://127.0.0.1:{port}/health/ready",
        folder=folder,
    )
    seconds = []
    for _ in range(2):
        with server:
            seconds.append(server.ready_seconds)
    return seconds[0], seconds[1]


def _help(folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "govid", "--help"], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - began
