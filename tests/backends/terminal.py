"""A command on a terminal: a pseudo-terminal of a given width, with keys that are pressed."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

CTRL_C = "\x03"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LAUNCH = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """What a command left on a terminal of `columns` columns, and how it ended."""

    code: int
    text: str
    columns: int

    def rows(self) -> list[str]:
        """Return the rows as the terminal shows them: lines that are too long go on below."""
        plain = _ESCAPES.sub("", self.text).replace("\r\n", "\n")
        return [
            line[start : start + self.columns]
            for written in re.split(r"[\r\n]", plain)
            for line in [written.rstrip()]
            for start in range(0, max(len(line), 1), self.columns)
        ]

    def shows(self, text: str) -> bool:
        """Tell whether one row contains *text* unbroken."""
        return any(text in row for row in self.rows())


def run(
    command: Sequence[object],
    *,
    environment: Mapping[str, str],
    folder: Path,
    columns: int,
    keys: Sequence[tuple[str, str]] = (),
    seconds: float = 60,
) -> Screen:
    """Run *command* on a terminal to its end.

    *keys* are pairs of a text and the keys to press once it has appeared, in order.

    Raises:
        TimeoutError: the command did not end in so many *seconds*; carries what it wrote.
    """
    process, here = _started(command, environment, folder, columns)
    written, waiting, seen = "", list(keys), 0
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([here], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(here, 65536)
            except OSError:  # Linux raises it once the last process has closed the terminal.
                read = b""
            if not read:
                return Screen(code=process.wait(10), text=written, columns=columns)
            written += read.decode("utf-8", "replace")
            if waiting and (place := written.find(waiting[0][0], seen)) >= 0:
                seen = place + len(waiting[0][0])
                os.write(here, waiting.pop(0)[1].encode())
        raise TimeoutError(written)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(here)


def hang_up(
    command: Sequence[object],
    *,
    environment: Mapping[str, str],
    folder: Path,
    after: str,
    then: Callable[[int], None] = lambda pid: None,
    seconds: float = 60,
) -> int:
    """Run *command* on a terminal that is closed once *after* has appeared; return the exit code.

    *then* is called with the id of the process, whose terminal is gone.

    Raises:
        TimeoutError: it did not appear in so many *seconds*; carries what was written.
    """
    process, here = _started(command, environment, folder, columns=80)
    written = ""
    deadline = time.monotonic() + seconds
    try:
        while after not in written:
            if time.monotonic() > deadline:
                raise TimeoutError(written)
            if select.select([here], [], [], 0.1)[0]:
                written += os.read(here, 65536).decode("utf-8", "replace")
        os.close(here)
        here = -1
        then(process.pid)
        return process.wait(seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if here >= 0:
            os.close(here)


def _started(
    command: Sequence[object], environment: Mapping[str, str], folder: Path, columns: int
) -> tuple[subprocess.Popen[bytes], int]:
    """Start *command* on a terminal of its own; return it, and our end of the terminal."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *map(str, command)],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**environment, "TERM": "xterm"},
        cwd=folder,
        start_new_session=True,
    )
    os.close(there)
    return process, here
