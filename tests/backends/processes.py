"""Server processes: started, pinned to a core, waited for, killed, and ended again by their id."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

SERVER_CORE = 0
CLIENT_CORE = 1
START_SECONDS = 60
STOP_SECONDS = 15


def pinned(core: int | None, *command: object) -> list[str]:
    """Return *command*, bound to *core* where one is given and the machine has it."""
    words = [str(word) for word in command]
    if core is None or core >= (os.cpu_count() or 1) or not shutil.which("taskset"):
        return words
    return ["taskset", "--cpu-list", str(core), *words]


class Server:
    """A server in a process of its own, which can be started again after it was killed."""

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        ready: str,
        token: str = "",
        folder: Path | None = None,
    ) -> None:
        """Describe a server; nothing runs before `start`.

        *ready* is a URL that answers with 200 once the server serves, *token* the bearer token
        for that question where one is needed. All output is added to the file *log*; *folder*
        is the working directory, so that no `.env` of a developer is read.
        """
        self.ready_seconds = 0.0
        self._command = command
        self._log = log
        self.environment = {**os.environ, **environment}
        self.folder = folder
        self._ready = ready
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start the process and return as soon as it is ready; note how long that took.

        Raises:
            RuntimeError: it ended, or was not ready in time; carries the end of its log.
        """
        began = time.perf_counter()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.folder,
            )
        with httpx.Client(timeout=5, headers=self._headers) as client:
            while time.perf_counter() < began + START_SECONDS and self._process.poll() is None:
                try:
                    if client.get(self._ready).status_code == httpx.codes.OK:
                        self.ready_seconds = time.perf_counter() - began
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.01)
        raise RuntimeError(f"{self._command} is not ready:\n{self._log.read_text()[-4000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @property
    def pid(self) -> int:
        """Return the id of the process.

        Raises:
            RuntimeError: it was never started.
        """
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def wait_for_end(self, seconds: float) -> int:
        """Wait until it has ended by itself; return its exit code.

        Raises:
            RuntimeError: it was never started.
            subprocess.TimeoutExpired: it still runs.
        """
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.wait(seconds)

    def stop(self) -> None:
        """Ask it to stop, and kill it only if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def resident_mb(self) -> float:
        """Return the resident memory of the process and its children, in MB of 10^6 bytes."""
        parent = psutil.Process(self.pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(each.memory_info().rss for each in family) / 1e6
