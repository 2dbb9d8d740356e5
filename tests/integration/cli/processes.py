"""`govid dev` as a user runs it: a process that is started, asked, and stopped by Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

GOVID = (sys.executable, "-m", "govid")
READY_SECONDS = 60
STOP_SECONDS = 15


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """Return the environment of a command that keeps its state in *folder*."""
    return {
        **os.environ,
        "GOVID_DATA_DIR": str(folder),
        "GOVID_PORT": "0",
        "NO_COLOR": "1",
        "PYTHONWARNINGS": "default",
        **extra,
    }


def govid(*arguments: str, env: Mapping[str, str], cwd: Path, seconds: float = 60) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        [*GOVID, *arguments],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Ended(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


class Dev:
    """One run of `govid dev --json`; `panel` is what it printed once it was ready."""

    def __init__(self, folder: Path, *arguments: str, **extra: str) -> None:
        """Keep the state in *folder*, and everything else beside it."""
        self.env = environment(folder, **extra)
        self.cwd = folder.parent
        self.panel: dict[str, Any] = {}
        self.seconds_to_stop = 0.0
        self._arguments = arguments

    def __enter__(self) -> Self:
        """Start it and read its panel."""
        self._log = (self.cwd / "dev.err").open("w+")
        self._process = subprocess.Popen(
            [*GOVID, "dev", "--json", *self._arguments],
            env=self.env,
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        if not lines:
            text = self.stderr()
            self.__exit__(None, None, None)
            raise AssertionError(text)
        self.panel = json.loads("".join(lines))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, one way or the other."""
        if self._process.poll() is None:
            self.interrupt()
        self._log.close()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def url(self) -> str:
        """Where it serves."""
        return str(self.panel["service"])

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(STOP_SECONDS)
        self.seconds_to_stop = time.monotonic() - began
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def run(self, *arguments: str, seconds: float = 60) -> Ended:
        """Run another command beside it."""
        return govid(*arguments, env=self.env, cwd=self.cwd, seconds=seconds)

    def stderr(self) -> str:
        """Return what it wrote beside its results."""
        self._log.flush()
        return (self.cwd / "dev.err").read_text()
