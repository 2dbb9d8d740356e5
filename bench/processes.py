"""Processes that the benchmark starts, pins to a core, waits for, and ends again by their id."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

SERVER_CORE = 0
CLIENT_CORE = 1


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(core: int | None, *command: object) -> list[str]:
    """Return *command*, bound to *core* where one is given and the machine has it."""
    words = [str(word) for word in command]
    if core is None or core not in os.sched_getaffinity(0) or not shutil.which("taskset"):
        return words
    return ["taskset", "--cpu-list", str(core), *words]


@contextmanager
def running(
    command: list[str],
    *,
    log: Path,
    env: Mapping[str, str],
    ready: str,
    token: str = "",
    seconds: float = 60,
) -> Iterator["Server"]:
    """Run a server until the block ends; yield once *ready* (a URL) answers with 200.

    *token* is the bearer token for that question, where one is needed. The server's output goes
    to the file *log*. It is asked to stop, and killed only if it does not.
    """
    with log.open("ab") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **env},
        )
    try:
        wait_ready(process, ready, log, token=token, seconds=seconds)
        yield Server(process, time.perf_counter() - started)
    finally:
        stop(process)


class Server:
    """A running server and how long it took to become ready."""

    def __init__(self, process: subprocess.Popen[bytes], ready_seconds: float) -> None:
        """Hold a process that answers."""
        self.process = process
        self.ready_seconds = ready_seconds

    def resident_mb(self) -> float:
        """Return the resident memory of the process and its children, in MB of 10^6 bytes."""
        parent = psutil.Process(self.process.pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(each.memory_info().rss for each in family) / 1e6


def wait_ready(
    process: subprocess.Popen[Any], url: str, log: Path, *, token: str, seconds: float
) -> None:
    """Return as soon as *url* answers with 200.

    Raises:
        RuntimeError: the process ended, or the time was over; carries the end of its log.
    """
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=5, headers={"Authorization": f"Bearer {token}"}) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} is not ready:\n{log.read_text()[-4000:]}")


def stop(process: subprocess.Popen[Any], seconds: float = 15) -> None:
    """End *process*: politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
