"""Collects log lines and writes them many at a time.

A thread of its own writes: neither a slow disk nor a full pipe can hold up a request. What
overflows is dropped and counted.
"""

import atexit
import contextlib
import threading
import time
from typing import IO

FLUSH_SECONDS = 0.05
LIMIT = 50_000


class LogWriter:
    """Writes lines to a stream, every `FLUSH_SECONDS` and at exit."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to *stream*."""
        self._stream = stream
        self._lines: list[bytes] = []
        self._pending = threading.Event()
        self._writing = threading.Lock()
        self._closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="govid-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes) -> None:
        """Take *line*, which ends without a newline."""
        lines = self._lines
        if len(lines) >= LIMIT:
            self.dropped += 1
            return
        lines.append(line)
        if len(lines) == 1:
            self._pending.set()

    def flush(self) -> None:
        """Write everything that was taken."""
        with self._writing:
            lines, self._lines = self._lines, []
            if lines:
                # A closed pipe must not take the service down with it.
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(b"\n".join(lines) + b"\n")
                    self._stream.flush()

    def close(self) -> None:
        """Write the rest and stop the thread."""
        self._closed = True
        self._pending.set()
        self._thread.join(timeout=2)
        self.flush()
        atexit.unregister(self.close)

    def _run(self) -> None:
        while not self._closed:
            self._pending.wait()
            self._pending.clear()
            time.sleep(FLUSH_SECONDS)
            self.flush()
